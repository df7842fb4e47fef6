"""TensorFlow: the Keras model in a tf.function; and bare operations, the weights constants. XLA is slower here on CPUs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.inference import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.native_tensorflow import Bare, network


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    if setup.style == "manual":
        net = network(task.MODEL)

        @tf.function
        def answers(images: Any) -> Any:
            return net(tf.cast(images, tf.float32), training=False)
    else:
        bare: Any = Bare(task.MODEL)
        bare.p = {name: tf.constant(value) for name, value in bare.p.items()}

        @tf.function(autograph=False)
        def answers(images: Any) -> Any:
            return bare.forward(tf.cast(images, tf.float32), is_training=False)

    return task.asked_in_batches(lambda images: answers(tf.convert_to_tensor(images)).numpy())
