"""The same training by Keras 3: `fit` on the arrays, on the backend that the worker chose in KERAS_BACKEND."""

from __future__ import annotations

import time
from typing import Any

import keras

from benchmarks.protocol import Answer, Contestant, Setup
from benchmarks.training import task


def contestant(setup: Setup) -> Contestant:
    """Trains by `fit`; an epoch goes before those that count, so that what `fit` prepares at its start does not."""
    model, (batch_size, rule, epochs) = setup.workload, task.SETTINGS[setup.workload]
    steps = task.SETTINGS[model].steps
    net, clock = network(model), Clock()
    schedule: Any = keras.optimizers.schedules.ExponentialDecay(task.LEARNING_RATE, 1875, decay_rate=2.718281828459045**-0.1)
    if rule == "adam":
        optimizer = keras.optimizers.Adam(schedule, task.BETA1, task.BETA2, task.EPS)
    else:
        optimizer = keras.optimizers.SGD(schedule, task.MOMENTUM, nesterov=True)
    net.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    images, labels = (array[: steps * batch_size] for array in task.arrays())

    def run(number: int) -> Answer:
        told = net.fit(images, labels, batch_size=batch_size, epochs=1 + epochs, shuffle=True, verbose=0, callbacks=[clock])
        return Answer({model: clock.seconds / (epochs * steps) * 1e6}, told.history["loss"][-1])

    return run


class Clock(keras.callbacks.Callback):
    """Times a fit from the start of its second epoch to the end of its last.

    Attributes:
        seconds: What it took.
    """

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        if epoch == 1:
            self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reads the clock."""
        if epoch:
            self.seconds = time.perf_counter() - self._start


def network(model: str) -> Any:
    """The layers, with Keras' own first weights."""
    layers, blocks = keras.layers, []

    def norm() -> Any:
        return layers.BatchNormalization(momentum=1 - task.BN_MOMENTUM, epsilon=task.BN_EPS)

    for place, filters in enumerate({"mlp": (), "cnn": task.CNN, "conv": task.CONV}[model][1:]):
        blocks += [norm()] if model == "cnn" else []
        blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu")]
        blocks += [layers.MaxPooling2D()] if place < 3 else [layers.GlobalAveragePooling2D(), norm()]
    first = layers.Rescaling(1.0 / 255 if model == "mlp" else 1.0)
    width = {"mlp": 64, "cnn": 18, "conv": 256}[model]
    last = [layers.Flatten(), layers.Dense(width, activation="relu"), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), first, *blocks, *last])
