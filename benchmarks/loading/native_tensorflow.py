"""TensorFlow: tf.data over the array; and one gather into a buffer."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.loading import task
from benchmarks.protocol import Contestant, Setup


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    if setup.style == "best":
        return task.walked(lambda size, epoch: (tf.cast(batch, tf.float32) for batch in task.taken(size, epoch, buffers=2)))

    def pipeline(batch_size: int) -> Any:
        data = tf.data.Dataset.from_tensor_slices(task.images()).shuffle(task.COUNT).batch(batch_size, drop_remainder=True)
        return data.map(lambda batch: tf.cast(batch, tf.float32)).prefetch(tf.data.AUTOTUNE)

    pipelines = {size: pipeline(size) for size in task.BATCH_SIZES}
    return task.walked(lambda size, epoch: pipelines[size])
