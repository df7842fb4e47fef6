"""Gradients of `minimize` and `value_and_grad` against central differences in float64, through layers and losses, on each backend."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, compile, grad, value_and_grad
from babel_dl.model.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dropout,
    Embedding,
    Flatten,
    FullyConnected,
    GlobalAveragePooling2D,
    LayerNorm,
    MaxPooling2D,
    Sequential,
)
from babel_dl.training import Trainer, losses
from babel_dl.training.optimizers import SGD
from tests.training.float64 import Restart, directions_of, slopes, wide, widen_all

TOLERANCE = 1e-6
"""Relative to the largest slope of a variable; differences in float64 are good to about 1e-9."""

RNG = np.random.default_rng(0)
IMAGES, VECTORS = RNG.normal(size=(3, 8, 7, 2)), RNG.normal(size=(5, 6))
WORDS = RNG.integers(0, 9, size=(4, 5)).astype(np.int32)

MODELS: dict[str, tuple[Callable[[], Module], np.ndarray]] = {
    "convolution": (lambda: Sequential(Conv2D(4, 3, 2, activation="tanh"), Conv2D(6, 2, dilation=2, groups=2, padding="valid")), IMAGES),
    "convolution and pooling": (lambda: Sequential(Conv2D(4, 3, activation="gelu"), MaxPooling2D(), AveragePooling2D(2, 1)), IMAGES),
    "convolution of sequences": (lambda: Sequential(Conv1D(4, 3, 2, activation="silu"), Conv1D(3, 2)), IMAGES[:, 0]),
    "batch norm of images": (lambda: Sequential(Conv2D(4, 3), BatchNormalization(), Activation("softplus"), BatchNormalization()), IMAGES),
    "batch norm of vectors": (lambda: Sequential(FullyConnected(4), BatchNormalization(), Activation("tanh"), FullyConnected(2)), VECTORS),
    "dropout": (lambda: Sequential(FullyConnected(16), Dropout(0.4), Activation("tanh"), Dropout(0.2), FullyConnected(3)), VECTORS),
    "embedding": (lambda: Sequential(Embedding(9, 4), LayerNorm(), Flatten(), FullyConnected(3)), WORDS),
    "layer norm": (lambda: Sequential(Conv2D(4, 3, activation="elu"), LayerNorm(3), GlobalAveragePooling2D()), IMAGES),
    "activations": (
        lambda: Sequential(
            FullyConnected(8, activation="leaky_relu"), FullyConnected(8, activation="relu"), FullyConnected(8, activation="sigmoid"),
            Activation("log_softmax"), FullyConnected(4), Activation("softmax"),
        ), VECTORS,
    ),
}  # fmt: skip

LABELS = np.array([0, 2, 1, 2, 0], np.int32)
CHANCES = RNG.uniform(size=(5, 3))
LOSSES: dict[str, tuple[Callable[[], Module], np.ndarray]] = {
    "squares": (losses.MeanSquaredError, CHANCES),
    "absolute": (losses.MeanAbsoluteError, CHANCES),
    "smooth l1": (lambda: losses.SmoothL1Loss(0.3), CHANCES),
    "sparse cross entropy": (losses.SparseCrossEntropyLossFromLogits, LABELS),
    "smoothed cross entropy": (lambda: losses.SparseCrossEntropyLossFromLogits(0.2), LABELS),
    "cross entropy": (losses.CrossEntropyLossFromLogits, CHANCES / CHANCES.sum(1, keepdims=True)),
    "binary cross entropy": (losses.BinaryCrossEntropyLossFromLogits, (CHANCES > 0.5).astype(np.float64)),
    "masked": (lambda: losses.Masked(losses.SparseCrossEntropyLossFromLogits(), ignore_label=2), LABELS),
}


class Step(Trainer):
    """One step on all that the model has, with a rate of 1 and no momentum: a weight loses exactly its gradient.

    Args:
        model: What learns.
        loss: A function of the model's answer.
    """

    def __init__(self, model: Module, loss: Callable[[Any], Any], mode: str) -> None:
        super().__init__(callbacks=[], compile=mode)
        self.model, self.optimizer, self.loss = model, SGD(1.0, momentum=0.0), loss

    def train_step(self, batch: Any) -> Any:
        """Makes the loss of the batch small."""
        return self.minimize(lambda: self.loss(self.model(batch)), over=self.model, using=self.optimizer)

    def evaluate_step(self, batch: Any) -> Any:
        """The loss."""
        return self.loss(self.model(batch))


def weighted(y: Any) -> Any:
    """A smooth scalar in which each element counts differently."""
    weights = np.linspace(0.5, 2.0, int(np.prod(y.shape))).reshape(y.shape)
    return ops.mean(ops.sin(y) * ops.asarray(weights, dtype="float64"))


def tensor(array: np.ndarray) -> Any:
    return ops.asarray(array, dtype="float64" if array.dtype == np.float64 else "int32")


def built(make: Callable[[], Module], array: np.ndarray) -> Module:
    """The model, with its variables in float64."""
    model = make().build_from(array if array.dtype != np.float64 else array.astype(np.float32))
    widen_all(model)
    return model


def check(model: Module, loss: Callable[[], Any], gradients: list[np.ndarray], restart: Restart) -> None:
    """Compares gradients with central differences along directions of each variable."""

    def value() -> float:
        restart()
        return float(loss())

    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert (gradient.shape, gradient.dtype.name) == (variable.shape, "float64"), variable.path
        directions = directions_of(variable)
        wanted = np.array(slopes(value, variable, directions))
        found = np.array([np.sum(gradient * direction) for direction in directions])
        # A weight in front of a normalisation has no slope along itself; then the length of the whole says what is little.
        allowed = TOLERANCE * max(np.abs(wanted).max(), np.linalg.norm(gradient), 1e-3)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=allowed, err_msg=variable.path)


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("name", MODELS)
def test_minimize_follows_the_slope_of_the_loss(backend: Backend, name: str, mode: str) -> None:
    make, array = MODELS[name]
    with wide(backend):
        model = built(make, array)
        restart, before = Restart(model), [variable.numpy() for variable in model.trainable_variables]
        trainer = Step(model, weighted, mode)
        trainer.prepare(array if array.dtype != np.float64 else array.astype(np.float32))
        step = backend.compile(lambda x: trainer.train_step(ops.Tensor(x, backend)).native, mode)
        value = float(backend.to_numpy(step(tensor(array).native)))
        gradients = [b - variable.numpy() for b, variable in zip(before, model.trainable_variables, strict=True)]
        for variable, number in zip(model.trainable_variables, before, strict=True):
            backend.assign(variable.storage, backend.asarray(number, "float64"))
        check(model, lambda: weighted(model(tensor(array))), gradients, restart)
        restart()
        assert value == pytest.approx(float(weighted(model(tensor(array)))), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_go_through_losses(backend: Backend, name: str) -> None:
    make, truth = LOSSES[name]
    with wide(backend):
        model, loss = built(lambda: Sequential(FullyConnected(7, activation="tanh"), FullyConnected(3)), VECTORS), make()

        def value() -> Any:
            return ops.mean(loss(model(tensor(VECTORS)), tensor(truth)))

        gradients = compile(lambda: value_and_grad(value, model)[1])()
        check(model, value, [gradient.numpy() for gradient in gradients], Restart(model))


@pytest.mark.parametrize("name", ["convolution", "batch norm of images", "layer norm", "dropout", "activations"])
def test_gradients_go_through_gradients(backend: Backend, name: str) -> None:
    """The squared length of the slope in the input is differentiated with respect to the weights: a gradient in a loss."""
    make, array = MODELS[name]
    with wide(backend):
        model = built(make, array)
        restart = Restart(model)

        def penalty() -> Any:
            return ops.sum(ops.square(grad(lambda x: weighted(model(x)), tensor(array))))

        def loss() -> Any:
            return penalty() + weighted(model(tensor(array)))

        restart()
        gradients = compile(lambda: value_and_grad(loss, model)[1])()
        check(model, loss, [gradient.numpy() for gradient in gradients], restart)


def test_gradients_of_inputs_follow_the_slope(backend: Backend) -> None:
    make, array = MODELS["convolution and pooling"]
    with wide(backend):
        model = built(make, array)
        found = compile(lambda x: grad(lambda x: weighted(model(x)), x))(tensor(array)).numpy()
        rng = np.random.default_rng(1)
        for _ in range(3):
            direction = rng.normal(size=array.shape)
            above, below = (float(weighted(model(tensor(array + sign * 1e-6 * direction)))) for sign in (1, -1))
            assert np.sum(found * direction) == pytest.approx((above - below) / 2e-6, rel=TOLERANCE)


def test_a_gradient_that_is_off_by_a_thousandth_is_found_out(backend: Backend) -> None:
    """The comparison itself must be able to fail."""
    with wide(backend):
        model = built(*MODELS["batch norm of vectors"])
        restart = Restart(model)

        def loss() -> Any:
            return weighted(model(tensor(VECTORS)))

        gradients = [gradient.numpy() for gradient in value_and_grad(loss, model)[1]]
        check(model, loss, gradients, restart)
        gradients[-2] = gradients[-2] * 1.001
        with pytest.raises(AssertionError, match="/layers/3/weight"):
            check(model, loss, gradients, restart)
