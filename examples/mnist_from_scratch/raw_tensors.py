"""Part 1: a linear classifier from raw tensors. No module, no loss, no optimizer, no loader, no trainer: all of it is in this file."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import babel_dl
from babel_dl import Tensor, Variable, ops
from babel_dl.core import host_generator, logging
from examples.mnist_from_scratch.data import Part


class Parameters(NamedTuple):
    """What is learnt: weights (784, 10) and bias (10,)."""

    weights: Variable
    bias: Variable


def make_parameters(seed: int) -> Parameters:
    """Random weights of variance 1 / 784 and a bias of zero. They are drawn by numpy, so every backend starts from the same numbers."""
    weights = host_generator(seed, "weights").standard_normal((784, 10)) / math.sqrt(784)
    return Parameters(Variable(weights.astype(np.float32), path="weights"), Variable(np.zeros(10, np.float32), path="bias"))


def log_softmax(z: Tensor) -> Tensor:
    """Logarithms of probabilities from logits.

        log_softmax(z) = z - log(sum(exp(z)))

    The largest logit is taken off first. That changes nothing in the result; without it exp overflows for logits above 88.
    """
    z = z - z.max(axis=-1, keepdims=True)
    return z - ops.log(ops.exp(z).sum(axis=-1, keepdims=True))


def forward(p: Parameters, batch_x: Tensor) -> Tensor:
    """The model: logarithms of the probability of each class, (batch, 10)."""
    return log_softmax(batch_x @ p.weights + p.bias)


def nll(batch_z: Tensor, batch_y: Tensor) -> Tensor:
    """The loss: the negative log-likelihood of the true classes, averaged over the batch."""
    of_true_class = ops.take_along_axis(batch_z, batch_y.astype("int32")[:, None], axis=1)  # (batch, 1)
    return -of_true_class.mean()


def accuracy(batch_z: Tensor, batch_y: Tensor) -> Tensor:
    """The share of the batch whose likeliest class is the true one."""
    return (batch_z.argmax(axis=1) == batch_y.astype("int32")).astype("float32").mean()


def get_batch(part: Part, batch_size: int, iteration: int) -> Part:
    """Mini-batch number `iteration` of the data, in their own order; the last one may be smaller.

    The post has `end = start + iteration`: its first batch is empty, the second has one image, and from the 65th on batches overlap.
    """
    start = iteration * batch_size
    end = start + batch_size
    return Part(part.x[start:end], part.y[start:end])


def make_step(p: Parameters, lr: float) -> Callable[[np.ndarray, np.ndarray], Tensor]:
    """One step of stochastic gradient descent, as a function compiled by the backend.

    The post's `loss.backward()`, `weights.grad` and `grad.zero_()` are one call here: gradients are values, and nothing has to be reset.
    """

    @babel_dl.compile
    def step(batch_x: Tensor, batch_y: Tensor) -> Tensor:
        loss, gradients = babel_dl.value_and_grad(lambda: nll(forward(p, batch_x), batch_y), p)
        for variable, gradient in zip(p, gradients, strict=True):
            variable.assign(variable - lr * gradient)
        return loss

    return step


def train(p: Parameters, part: Part, max_epoch: int, batch_size: int = 64, lr: float = 0.1) -> None:
    """Stochastic gradient descent over all mini-batches, epoch after epoch."""
    logging.info("training...")
    step = make_step(p, lr)
    for _ in range(max_epoch):
        for iteration in range(math.ceil(len(part.x) / batch_size)):
            step(*get_batch(part, batch_size, iteration))
    logging.info("training done.")


def test(p: Parameters, part: Part) -> tuple[float, float]:
    """Loss and accuracy on all images at once."""

    @babel_dl.compile
    def measure(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        z = forward(p, x)
        return nll(z, y), accuracy(z, y)

    loss, share = measure(part.x, part.y)
    return float(loss), float(share)
