"""Small data, losses and trainers for the tests of native modules."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from babel_dl.data import ArrayDataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.optimizers import SGD, Optimizer

NUM_CLASSES = 3
BATCH = 8
Picture = namedtuple("Picture", ["image"])
Label = namedtuple("Label", ["label"])


def pictures(num_samples: int = 32, size: int = 8, channels: int = 1) -> ArrayDataset:
    """Pictures whose label says in which of three bands they are brightest."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, NUM_CLASSES, num_samples).astype(np.int32)
    images = rng.normal(size=(num_samples, size, size, channels)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[label * size // NUM_CLASSES : (label + 1) * size // NUM_CLASSES] += 1.0
    return ArrayDataset(Picture(images), Label(labels), version=f"pictures-{num_samples}-{size}-{channels}")


class CrossEntropy(Loss):
    """Cross entropy of what a native model returns: logits."""

    def __init__(self) -> None:
        super().__init__()
        self.ce = SparseCrossEntropyLossFromLogits()

    def call(self, y_pred: Any, y_true: Label) -> Any:
        return self.ce(y_pred, y_true.label).mean()


def make_trainer(model: Any, optimizer: Optimizer | None = None, callbacks: Any = (), **options: Any) -> SupervisedTrainer:
    """A trainer of a native model, without callbacks unless some are given."""
    return SupervisedTrainer(model, CrossEntropy(), optimizer or SGD(0.05, momentum=0.9), callbacks=list(callbacks), **options)


def train(
    model: Any, epochs: int = 2, data: ArrayDataset | None = None, optimizer: Optimizer | None = None, **options: Any
) -> SupervisedTrainer:
    """A trainer that has trained."""
    trainer = make_trainer(model, optimizer, **options)
    trainer.fit((data or pictures()).to_dataloader(batch_size=BATCH), epochs=epochs)
    return trainer


def batches(epochs: int = 2, data: ArrayDataset | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the trainer of `train` sees, in its order."""
    loader = (data or pictures()).to_dataloader(batch_size=BATCH)
    return [(inp.image, outp.label) for epoch in range(epochs) for inp, outp in loader.batches(epoch, 0)]


def values_of(trainer: Any) -> dict[str, np.ndarray]:
    """All values of a trainer's modules and optimizers, by name."""
    held = {**trainer.modules, **trainer.optimizers}
    return {f"{name}{path}": variable.numpy().copy() for name, part in held.items() for path, variable in part.named_variables.items()}


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    """Bit by bit the same values under the same names."""
    assert list(first) == list(second)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def resumed(make: Any, folder: Path, optimizer: Any, **options: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All values after four epochs in one go, and after two, a file, a new process' worth of objects, and two more."""
    whole = train(make(), 4, optimizer=optimizer(), **options)
    first = train(make(), 2, optimizer=optimizer(), **options)
    first.save(folder / "half.safetensors")
    second = make_trainer(make(), optimizer(), **options)
    second.fit(pictures().to_dataloader(batch_size=BATCH), epochs=4, resume=folder / "half.safetensors")
    return values_of(whole), values_of(second)


# -------------------------------------------------------------------- the same networks, written for each framework


@dataclass(frozen=True)
class Network:
    """A native network, and what must be found in it.

    Args:
        make: Makes it; the same seed gives the same values.
        names: Its variables in order, each with whether it is a parameter.
    """

    make: Callable[..., Any]
    names: dict[str, bool]

    @property
    def parameters(self) -> list[str]:
        """The names of what is trained."""
        return [name for name, is_parameter in self.names.items() if is_parameter]


def make_torch_cnn(seed: int = 0, dropout: float = 0.0) -> Any:
    """Convolution, batch norm, dropout and a linear head: for pictures of 8 by 8, or of any size that gives 16 places."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(dropout),
        nn.Flatten(), nn.Linear(64, NUM_CLASSES),
    )  # fmt: skip


def make_keras_cnn(seed: int = 0, dropout: float = 0.0) -> Any:
    """The same in Keras, not built yet."""
    import keras

    first, last = (keras.initializers.GlorotUniform(seed=10 * seed + place) for place in (0, 1))
    return keras.Sequential([
        keras.layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_initializer=first), keras.layers.BatchNormalization(),
        keras.layers.ReLU(), keras.layers.MaxPooling2D(), keras.layers.Dropout(dropout, seed=seed), keras.layers.Flatten(),
        keras.layers.Dense(NUM_CLASSES, kernel_initializer=last),
    ])  # fmt: skip


def make_nnx_cnn(seed: int = 0, dropout: float = 0.0) -> Any:
    """The same in Flax nnx."""
    from flax import nnx

    class Cnn(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.conv = nnx.Conv(1, 4, (3, 3), use_bias=False, rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.dropout = nnx.Dropout(dropout, rngs=rngs)
            self.head = nnx.Linear(64, NUM_CLASSES, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), strides=(2, 2))
            return self.head(self.dropout(x).reshape(len(x), -1))

    return Cnn(nnx.Rngs(seed))


NETWORKS = {
    "torch": Network(make_torch_cnn, {
        "/0/weight": True, "/1/weight": True, "/1/bias": True, "/1/running_mean": False, "/1/running_var": False,
        "/1/num_batches_tracked": False, "/6/weight": True, "/6/bias": True,
    }),
    "tensorflow": Network(make_keras_cnn, {
        "/0/kernel": True, "/1/gamma": True, "/1/beta": True, "/1/moving_mean": False, "/1/moving_variance": False,
        "/4/seed_generator_state": False, "/6/kernel": True, "/6/bias": True,
    }),
    "jax": Network(make_nnx_cnn, {
        "/conv/kernel": True, "/dropout/rngs/count": False, "/dropout/rngs/key": False, "/head/bias": True, "/head/kernel": True,
        "/norm/bias": True, "/norm/mean": False, "/norm/scale": True, "/norm/var": False,
    }),
}  # fmt: skip


def make_linear(backend_name: str, inputs: int, outputs: int) -> Any:
    """One linear layer of the framework, with the same first weights each time."""
    if backend_name == "torch":
        import torch
        from torch import nn

        torch.manual_seed(0)
        return nn.Linear(inputs, outputs)
    if backend_name == "tensorflow":
        import keras

        return keras.layers.Dense(outputs, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    from flax import nnx

    return nnx.Linear(inputs, outputs, rngs=nnx.Rngs(0))
