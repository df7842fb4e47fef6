"""The same training in plain TensorFlow: as the manuals show it (Keras layers and optimizer in a tf.function), and with bare operations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import task


def make_round(model: str, style: str) -> Callable[[int], float]:
    """A function that trains one epoch and returns its mean loss."""
    images, labels = task.arrays()
    train_step = _manual_step(model) if style == "manual" else _bare_step(model)
    step = 0

    def run(epoch: int) -> float:
        nonlocal step
        losses, hits = [], []
        for image, label in task.batches(images, labels, epoch):
            rate = tf.constant(task.learning_rate(step), tf.float32)
            loss, hit = train_step(tf.convert_to_tensor(image), tf.convert_to_tensor(label), rate)
            losses.append(loss)
            hits.append(hit)
            step += 1
        float(np.mean([hit.numpy() for hit in hits]))
        return float(np.mean([loss.numpy() for loss in losses]))

    return run


def _measures(logits: Any, y: Any) -> tuple[Any, Any]:
    labels = tf.cast(y, tf.int32)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    hits = tf.reduce_mean(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32))
    return loss, hits


def _manual_step(model: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    layers = tf.keras.layers
    net: Any
    if model == "mlp":
        net = tf.keras.Sequential([layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)])
    else:
        blocks: list[Any] = []
        for filters in (12, 18, 18):
            blocks += [layers.BatchNormalization(epsilon=1e-5), layers.Conv2D(filters, 3, padding="same", activation="relu")]
            blocks += [layers.MaxPool2D()]
        blocks += [layers.BatchNormalization(epsilon=1e-5), layers.Conv2D(18, 3, padding="same", activation="relu")]
        blocks += [layers.GlobalAveragePooling2D(), layers.BatchNormalization(epsilon=1e-5)]
        net = tf.keras.Sequential([*blocks, layers.Dense(18, "relu"), layers.Dense(10)])
    net.build((None, 28, 28, 1))
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

    return train_step


def _bare_step(model: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    random = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        fan = np.prod(shape[:-1]) + shape[-1]
        return tf.Variable(random.uniform(-np.sqrt(6 / fan), np.sqrt(6 / fan), shape).astype(np.float32))

    def pair(size: int, value: float = 0.0) -> Any:
        return tf.Variable(np.full(size, value, np.float32))

    if model == "mlp":
        convolutions, norms = [], []
        dense = [(weight(784, 64), pair(64)), (weight(64, 10), pair(10))]
    else:
        sizes = (1, 12, 18, 18, 18)
        convolutions = [(weight(3, 3, a, b), pair(b)) for a, b in pairwise(sizes)]
        norms = [(pair(n, 1.0), pair(n), pair(n), pair(n, 1.0)) for n in sizes]
        dense = [(weight(18, 18), pair(18)), (weight(18, 10), pair(10))]
    learnt = [v for group in (*convolutions, *dense) for v in group] + [v for norm in norms for v in norm[:2]]
    momenta = [tf.Variable(tf.zeros_like(v)) for v in learnt]

    def normalise(x: Any, norm: tuple[Any, Any, Any, Any]) -> Any:
        scale, offset, mean, variance = norm
        y, new_mean, new_variance = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, epsilon=1e-5, is_training=True)
        mean.assign(0.9 * mean + 0.1 * new_mean)
        variance.assign(0.9 * variance + 0.1 * new_variance)
        return y

    def forward(x: Any) -> Any:
        if model == "mlp":
            x = tf.reshape(x / 255.0, (-1, 784))
        for index, (kernel, bias) in enumerate(convolutions):
            x = tf.nn.relu(tf.nn.conv2d(normalise(x, norms[index]), kernel, 1, "SAME") + bias)
            x = tf.nn.max_pool2d(x, 2, 2, "VALID") if index < 3 else tf.reduce_mean(x, (1, 2), keepdims=True)
        if norms:
            x = tf.reshape(normalise(x, norms[-1]), (-1, 18))
        x = tf.nn.relu(x @ dense[0][0] + dense[0][1])
        return x @ dense[1][0] + dense[1][1]

    @tf.function(autograph=False)
    def train_step(image: Any, y: Any, rate: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, hits = _measures(forward(tf.cast(image, tf.float32)), y)
        for variable, momentum, gradient in zip(learnt, momenta, tape.gradient(loss, learnt), strict=True):
            new = task.MOMENTUM * momentum + gradient
            momentum.assign(new)
            variable.assign_sub(rate * (gradient + task.MOMENTUM * new))
        return loss, hits

    return train_step
