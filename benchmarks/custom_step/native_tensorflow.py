"""The same step by hand in TensorFlow: Keras layers and optimizers in a tf.function, as its DCGAN tutorial has it; and bare operations,
where steps are short all those of a round in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.custom_step import task
from benchmarks.protocol import Setup

raw: Any = tf.raw_ops
Variable: Any = tf.Variable
Step = Callable[[Any, Any], tuple[Any, Any]]


def _real(image: Any) -> Any:
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def _binary_cross_entropy(logits: Any, is_real: float) -> Any:
    return tf.reduce_mean(tf.nn.softplus(-logits) if is_real else tf.nn.softplus(logits))


# -------------------------------------------------------------------- as the tutorial has it


def _keras_networks(model: str) -> tuple[Any, Any]:
    layers = tf.keras.layers
    if model == "gan":
        generator = [layers.Dense(128, "relu"), layers.Dense(784, "tanh"), layers.Reshape((28, 28, 1))]
        nets = tf.keras.Sequential(generator), tf.keras.Sequential([layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(1)])
    else:
        blocks: list[Any] = [layers.Reshape((4, 4, 8))]
        for place, (window, _, after) in enumerate(task.GENERATOR):
            blocks += [layers.UpSampling2D(2)] if place else []
            is_last = place + 1 == len(task.GENERATOR)
            blocks += [layers.Conv2D(after, window, padding="same", activation=None if is_last else "relu")]
            norm = layers.BatchNormalization(momentum=1 - task.BN_MOMENTUM, epsilon=task.BN_EPS)
            blocks += [layers.Resizing(28, 28)] if is_last else [norm]
        generator, blocks = tf.keras.Sequential(blocks), []
        for place, (window, _, after) in enumerate(task.DISCRIMINATOR):
            is_last = place + 1 == len(task.DISCRIMINATOR)
            blocks += [layers.Conv2D(after, window, padding="same", activation=None if is_last else "relu")]
            norm = layers.BatchNormalization(momentum=1 - task.BN_MOMENTUM, epsilon=task.BN_EPS)
            blocks += [] if is_last else [norm, layers.MaxPool2D()]
        nets = generator, tf.keras.Sequential(blocks)
    nets[0].build((None, task.NOISE[model]))
    nets[1].build((None, 28, 28, 1))
    return nets


def _load_keras(net: Any, values: dict[str, np.ndarray]) -> None:
    place = -1
    for layer in net.layers:
        if hasattr(layer, "kernel"):
            place += 1
            layer.kernel.assign(values[f"{place}/weight"])
            layer.bias.assign(values[f"{place}/bias"])


def _manual_step(model: str, draws: bool) -> Step:
    generator, discriminator = _keras_networks(model)
    first = task.weights(model)
    _load_keras(generator, first["generator"])
    _load_keras(discriminator, first["discriminator"])
    rules = [tf.keras.optimizers.Adam(task.LEARNING_RATE, task.BETA1, task.BETA2, task.EPS) for _ in range(2)]
    for rule, net in zip(rules, (generator, discriminator), strict=True):
        rule.build(net.trainable_variables)

    @tf.function
    def step(image: Any, noise: Any) -> tuple[Any, Any]:
        real = _real(image)
        z = tf.random.normal((task.BATCH_SIZE, task.NOISE[model])) if draws else noise
        with tf.GradientTape() as tape:
            fake = generator(z, training=True)
            g = _binary_cross_entropy(discriminator(fake, training=True), 1.0)
        gradients = tape.gradient(g, generator.trainable_variables)
        rules[0].apply_gradients(zip(gradients, generator.trainable_variables, strict=True))
        with tf.GradientTape() as tape:
            on_fake, on_real = discriminator(fake, training=True), discriminator(real, training=True)
            d = 0.5 * (_binary_cross_entropy(on_fake, 0.0) + _binary_cross_entropy(on_real, 1.0))
        gradients = tape.gradient(d, discriminator.trainable_variables)
        rules[1].apply_gradients(zip(gradients, discriminator.trainable_variables, strict=True))
        return g, d

    return step


# -------------------------------------------------------------------- with bare operations


class Bare:
    """A network's variables and their moments, and the operations on them.

    Args:
        values: The first weights.
    """

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        self.p = {name: Variable(value) for name, value in values.items()}
        self.moments = [(v, Variable(tf.zeros_like(v)), Variable(tf.zeros_like(v))) for v in self.p.values()]
        norms = [(name.partition("/")[0], value) for name, value in values.items() if name.endswith("/scale")]
        self.mean = {place: Variable(np.zeros_like(value)) for place, value in norms}
        self.variance = {place: Variable(np.ones_like(value)) for place, value in norms}
        self.powers = [Variable(1.0), Variable(1.0)]

    def dense(self, x: Any, place: int) -> Any:
        """x @ weight + bias."""
        return tf.nn.bias_add(x @ self.p[f"{place}/weight"], self.p[f"{place}/bias"])

    def convolution(self, x: Any, place: int) -> Any:
        """With "same" padding and bias."""
        return tf.nn.bias_add(tf.nn.conv2d(x, self.p[f"{place}/weight"], 1, "SAME"), self.p[f"{place}/bias"])

    def normalized(self, x: Any, place: int) -> Any:
        """Batch norm in one kernel, whose variance is the unbiased one."""
        name = str(place)
        scale, offset = self.p[f"{name}/scale"], self.p[f"{name}/offset"]
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, epsilon=task.BN_EPS, is_training=True)
        self.mean[name].assign_sub(task.BN_MOMENTUM * (self.mean[name] - mean))
        self.variance[name].assign_sub(task.BN_MOMENTUM * (self.variance[name] - variance))
        return y

    def move(self, gradients: list[Any]) -> None:
        """Adam by its kernel, with the epsilon behind the correction."""
        for power, beta in zip(self.powers, (task.BETA1, task.BETA2), strict=True):
            power.assign(power * beta)
        root = tf.sqrt(1.0 - self.powers[1])
        rate, small = task.LEARNING_RATE * root / (1.0 - self.powers[0]), task.EPS * root
        for (variable, first, second), gradient in zip(self.moments, gradients, strict=True):
            raw.ResourceApplyAdam(
                var=variable.handle, m=first.handle, v=second.handle, beta1_power=0.0, beta2_power=0.0, lr=rate, beta1=task.BETA1,
                beta2=task.BETA2, epsilon=small, grad=gradient,
            )  # fmt: skip


def _bare_generator(model: str, net: Bare, x: Any) -> Any:
    if model == "gan":
        return tf.reshape(tf.tanh(net.dense(tf.nn.relu(net.dense(x, 0)), 1)), (-1, 28, 28, 1))
    x = tf.reshape(x, (-1, 4, 4, 8))
    for place in range(len(task.GENERATOR)):
        if place:
            x = raw.ResizeNearestNeighbor(images=x, size=(2 * x.shape[1], 2 * x.shape[2]))
        x = net.convolution(x, place)
        if place + 1 < len(task.GENERATOR):
            x = net.normalized(tf.nn.relu(x), place)
    return raw.ResizeBilinear(images=x, size=(28, 28), half_pixel_centers=True)


def _bare_discriminator(model: str, net: Bare, x: Any) -> Any:
    if model == "gan":
        return net.dense(tf.nn.relu(net.dense(tf.reshape(x, (-1, 784)), 0)), 1)
    for place in range(len(task.DISCRIMINATOR)):
        x = net.convolution(x, place)
        if place + 1 < len(task.DISCRIMINATOR):
            x = tf.nn.max_pool2d(net.normalized(tf.nn.relu(x), place), 2, 2, "VALID")
    return x


def _bare_step(model: str, draws: bool) -> Step:
    first = task.weights(model)
    generator, discriminator = Bare(first["generator"]), Bare(first["discriminator"])

    @tf.function(autograph=False)
    def step(image: Any, noise: Any) -> tuple[Any, Any]:
        real = _real(image)
        z = tf.random.normal((task.BATCH_SIZE, task.NOISE[model])) if draws else noise
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(generator.p.values()))
            fake = _bare_generator(model, generator, z)
            g = _binary_cross_entropy(_bare_discriminator(model, discriminator, fake), 1.0)
        generator.move(tape.gradient(g, list(generator.p.values())))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(discriminator.p.values()))
            on_fake = _bare_discriminator(model, discriminator, tf.stop_gradient(fake))
            on_real = _bare_discriminator(model, discriminator, real)
            d = 0.5 * (_binary_cross_entropy(on_fake, 0.0) + _binary_cross_entropy(on_real, 1.0))
        discriminator.move(tape.gradient(d, list(discriminator.p.values())))
        return g, d

    return step


def _many_in_a_call(step: Step, count: int) -> Any:
    @tf.function(autograph=False)
    def steps(images: Any, noise: Any) -> Any:
        def body(number: Any, rows: Any) -> tuple[Any, Any]:
            return number + 1, rows.write(number, tf.stack(step(images[number], noise[number])))

        rows = tf.TensorArray(tf.float32, count)
        return tf.while_loop(lambda number, rows: number < count, body, (0, rows), parallel_iterations=1)[1].stack()

    return steps


def contestant(setup: Setup) -> Contestant:
    """The twin of a style; it draws its noise, unless it is given."""
    return Contestant(setup.workload, setup.style, setup.option != "given")


class Contestant(task.Rounds):
    """Trains rounds.

    Args:
        model: What.
        style: "manual" for Keras layers and optimizers, "best" for bare operations.
        draws: Whether the step draws its noise.
    """

    def __init__(self, model: str, style: str, draws: bool) -> None:
        self.model = model
        self.step = _manual_step(model, draws) if style == "manual" else _bare_step(model, draws)
        self.steps = _many_in_a_call(self.step, task.STEPS[model]) if (model, style) == ("gan", "best") else None

    def losses(self, number: int = 0) -> np.ndarray:
        """Both losses of each step of a round, (steps, 2)."""
        if self.steps is not None:
            images, noise = map(np.stack, zip(*task.batches(self.model, number), strict=True))
            return self.steps(tf.convert_to_tensor(images), tf.convert_to_tensor(noise)).numpy()
        rows = [self.step(tf.convert_to_tensor(b.image), tf.convert_to_tensor(b.noise)) for b in task.batches(self.model, number)]
        return np.array([[g.numpy(), d.numpy()] for g, d in rows])

    def round(self, number: int) -> float:
        """One round; the mean loss of the discriminator."""
        return float(self.losses(number)[:, 1].mean())
