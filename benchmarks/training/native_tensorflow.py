"""The same training in plain TensorFlow: as the manuals show it, Keras layers and optimizer in a tf.function; and as well as we know how,
with bare operations and the optimizers' own kernels, all steps of an epoch in one call, the batches gathered in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.protocol import Contestant, Setup
from benchmarks.training import task

raw: Any = tf.raw_ops
Variable: Any = tf.Variable
Step = Callable[[Any, Any, Any], tuple[Any, Any]]


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    model = setup.workload
    return task.trained(model, _one_by_one(model) if setup.style == "manual" else _many_in_a_call(model))


def _measures(logits: Any, y: Any) -> tuple[Any, Any]:
    labels = tf.cast(y, tf.int32)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    hits = tf.reduce_mean(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32))
    return loss, hits


# -------------------------------------------------------------------- as the manuals show it


def network(model: str) -> Any:
    """The Keras model."""
    layers = tf.keras.layers
    blocks: list[Any] = []
    if model == "cnn":
        for filters in task.CNN[1:4]:
            blocks += [layers.BatchNormalization(momentum=1 - task.BN_MOMENTUM, epsilon=task.BN_EPS)]
            blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPool2D()]
        blocks += [layers.BatchNormalization(momentum=1 - task.BN_MOMENTUM, epsilon=task.BN_EPS)]
        blocks += [layers.Conv2D(18, 3, padding="same", activation="relu"), layers.GlobalAveragePooling2D()]
        blocks += [layers.BatchNormalization(momentum=1 - task.BN_MOMENTUM, epsilon=task.BN_EPS)]
    for filters in task.CONV[1:] if model == "conv" else ():
        blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPool2D()]
    width = {"mlp": 64, "cnn": 18, "conv": 256}[model]
    net = tf.keras.Sequential([*blocks, layers.Flatten(), layers.Dense(width, "relu"), layers.Dense(10)])
    net.build((None, 28, 28, 1))
    values = task.weights(model)
    kernels = [value for name, value in values.items() if name.startswith(("kernel", "weight"))]
    for layer, value in zip((layer for layer in net.layers if hasattr(layer, "kernel")), kernels, strict=True):
        layer.kernel.assign(value)
    return net


def _one_by_one(model: str) -> Callable[[int], float]:
    net, done = network(model), 0
    if task.SETTINGS[model].rule == "adam":
        optimizer = tf.keras.optimizers.Adam(task.LEARNING_RATE, task.BETA1, task.BETA2, task.EPS)
    else:
        optimizer = tf.keras.optimizers.SGD(task.LEARNING_RATE, task.MOMENTUM, nesterov=True)
    optimizer.build(net.trainable_variables)

    @tf.function
    def train_step(image: Any, y: Any, rate: Any) -> tuple[Any, Any]:
        x = tf.cast(image, tf.float32)
        x = x / 255.0 if model == "mlp" else x
        optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            logits = net(x, training=True)
            loss, hits = _measures(logits, y)
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
        return loss, hits

    def run(epoch: int) -> float:
        nonlocal done
        losses, hits = [], []
        for image, label in task.batches(model, epoch):
            rate = tf.constant(task.learning_rate(done), tf.float32)
            loss, hit = train_step(tf.convert_to_tensor(image), tf.convert_to_tensor(label), rate)
            losses.append(loss)
            hits.append(hit)
            done += 1
        float(np.mean([hit.numpy() for hit in hits]))
        return float(np.mean([loss.numpy() for loss in losses]))

    return run


# -------------------------------------------------------------------- with bare operations


class Bare:
    """A network's variables, and what the optimizer and the normalizations remember.

    Args:
        model: Which.
    """

    def __init__(self, model: str) -> None:
        self.model, self.rule = model, task.SETTINGS[model].rule
        self.p = {name: Variable(value) for name, value in task.weights(model).items()}
        self.moments = [[Variable(tf.zeros_like(value)) for _ in range(2)] for value in self.p.values()]
        self.powers = [Variable(1.0), Variable(1.0)]
        channels = task.CNN if model == "cnn" else ()
        self.statistics = [(Variable(np.zeros(n, np.float32)), Variable(np.ones(n, np.float32))) for n in channels]

    def step(self, image: Any, label: Any, rate: Any) -> tuple[Any, Any]:
        """Learns from a batch."""
        learnt = list(self.p.values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(learnt)
            loss, hits = _measures(self.forward(tf.cast(image, tf.float32)), label)
        self._move(tape.gradient(loss, learnt), rate)
        return loss, hits

    def forward(self, x: Any, is_training: bool = True) -> Any:
        """The logits of images (batch, 28, 28, 1), float, from 0 to 255."""
        p = self.p
        if self.model == "mlp":
            x = x / 255.0
        for place in range(sum(name.startswith("kernel") for name in p)):
            x = self._normalized(x, place, is_training) if self.statistics else x
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, p[f"kernel{place}"], 1, "SAME"), p[f"shift{place}"]))
            x = tf.nn.max_pool2d(x, 2, 2, "VALID") if place < 3 else x
        if self.statistics:
            x = self._normalized(tf.reduce_mean(x, (1, 2), keepdims=True), 4, is_training)
        x = tf.reshape(x, (-1, p["weight0"].shape[0]))
        x = tf.nn.relu(tf.nn.bias_add(x @ p["weight0"], p["bias0"]))
        return tf.nn.bias_add(x @ p["weight1"], p["bias1"])

    def _normalized(self, x: Any, place: int, is_training: bool) -> Any:
        scale, offset, (mean, variance) = self.p[f"scale{place}"], self.p[f"offset{place}"], self.statistics[place]
        if not is_training:
            return tf.nn.batch_normalization(x, mean, variance, offset, scale, task.BN_EPS)
        y, now, spread = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, epsilon=task.BN_EPS, is_training=True)
        mean.assign_sub(task.BN_MOMENTUM * (mean - now))
        variance.assign_sub(task.BN_MOMENTUM * (variance - spread))
        return y

    def _move(self, gradients: list[Any], rate: Any) -> None:
        if self.rule == "sgd":
            for variable, (first, _), gradient in zip(self.p.values(), self.moments, gradients, strict=True):
                # this kernel keeps the momentum multiplied by the rate
                raw.ResourceApplyKerasMomentum(
                    var=variable.handle, accum=first.handle, lr=rate, grad=gradient, momentum=task.MOMENTUM, use_nesterov=True
                )
            return
        for power, beta in zip(self.powers, (task.BETA1, task.BETA2), strict=True):
            power.assign(power * beta)
        root = tf.sqrt(1.0 - self.powers[1])  # the epsilon stands behind the correction
        rate, small = rate * root / (1.0 - self.powers[0]), task.EPS * root
        for variable, (first, second), gradient in zip(self.p.values(), self.moments, gradients, strict=True):
            raw.ResourceApplyAdam(
                var=variable.handle, m=first.handle, v=second.handle, beta1_power=0.0, beta2_power=0.0, lr=rate, beta1=task.BETA1,
                beta2=task.BETA2, epsilon=small, grad=gradient,
            )  # fmt: skip


def _many_in_a_call(model: str) -> Callable[[int], float]:
    bare, done, (images, labels) = Bare(model), 0, map(tf.constant, task.arrays())

    @tf.function(autograph=False)
    def steps(order: Any, rates: Any) -> tuple[Any, Any]:
        def body(step: Any, losses: Any, hits: Any) -> tuple[Any, Any, Any]:
            chosen = order[step]
            loss, hit = bare.step(tf.gather(images, chosen), tf.gather(labels, chosen), rates[step])
            return step + 1, losses + loss, hits + hit

        count = order.shape[0]
        _, losses, hits = tf.while_loop(lambda step, *_: step < count, body, (0, 0.0, 0.0), parallel_iterations=1)
        return losses / count, hits / count

    def run(epoch: int) -> float:
        nonlocal done
        order = task.order(model, epoch).astype(np.int32)
        loss, hits = steps(tf.constant(order), tf.constant(task.learning_rates(done, len(order))))
        done += len(order)
        float(hits)
        return float(loss)

    return run
