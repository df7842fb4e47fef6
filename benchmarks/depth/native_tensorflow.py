"""TensorFlow: Keras layers and optimizer in a tf.function; and bare operations, all steps of a round in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.depth import task
from benchmarks.protocol import Contestant, Setup

raw: Any = tf.raw_ops
Variable: Any = tf.Variable


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    return task.deepened(_many_in_a_call if setup.style == "best" else _one_by_one)


def _loss(logits: Any, y: Any) -> Any:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), logits))


def _one_by_one(depth: int) -> Callable[[int], float]:
    layers = [tf.keras.layers.Dense(task.WIDTH, "relu") for _ in range(depth - 1)]
    net = tf.keras.Sequential([*layers, tf.keras.layers.Dense(task.WIDTH)])
    net.build((None, task.WIDTH))
    net.set_weights(task.weights(depth))
    rule = tf.keras.optimizers.SGD(task.RATE, task.MOMENTUM, nesterov=True)
    rule.build(net.trainable_variables)

    @tf.function
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _loss(net(x, training=True), y)
        rule.apply_gradients(zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables, strict=True))
        return loss

    def run(number: int) -> float:
        losses = [train_step(tf.convert_to_tensor(x), tf.convert_to_tensor(y)) for x, y in task.batches(number)]
        return float(np.mean([loss.numpy() for loss in losses]))

    return run


def _many_in_a_call(depth: int) -> Callable[[int], float]:
    p = [Variable(value) for value in task.weights(depth)]
    momenta, (inputs, classes) = [Variable(tf.zeros_like(value)) for value in p], map(tf.constant, task.arrays())

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(p)
            for place in range(0, len(p), 2):
                x = tf.nn.bias_add((tf.nn.relu(x) if place else x) @ p[place], p[place + 1])
            loss = _loss(x, y)
        for variable, momentum, gradient in zip(p, momenta, tape.gradient(loss, p), strict=True):
            raw.ResourceApplyKerasMomentum(
                var=variable.handle, accum=momentum.handle, lr=task.RATE, grad=gradient, momentum=task.MOMENTUM, use_nesterov=True
            )
        return loss

    @tf.function(autograph=False)
    def steps(order: Any) -> Any:
        def body(number: Any, losses: Any) -> tuple[Any, Any]:
            return number + 1, losses + step(tf.gather(inputs, order[number]), tf.gather(classes, order[number]))

        return tf.while_loop(lambda number, losses: number < task.STEPS, body, (0, 0.0), parallel_iterations=1)[1] / task.STEPS

    return lambda number: float(steps(tf.constant(task.order(number))))
