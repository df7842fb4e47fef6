"""Keras 3: `predict` for many images; for one the model called, which is several times faster than `predict`."""

from __future__ import annotations

import keras

from benchmarks.inference import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.with_keras import network


def contestant(setup: Setup) -> Contestant:
    """Keras on the backend of the setup."""
    net, images = network(task.MODEL), task.images()
    single = images[:1]
    return task.asked(
        lambda: net.predict(images, batch_size=task.BATCH_SIZE, verbose=0),
        lambda: keras.ops.convert_to_numpy(keras.ops.stop_gradient(net(single, training=False))),
    )
