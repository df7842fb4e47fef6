"""The template's network, loss and data, as they stand in `examples/fashion_mnist`, and two variations of the network."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from babel_dl.core import Module
from babel_dl.data import Dataset
from babel_dl.model.layers import Activation, AveragePooling2D, Dropout, MaxPooling2D

FOLDER = Path(__file__).parents[2] / "examples" / "fashion_mnist"
PACKAGES = ("configs", "datasets", "models", "training")
DROPOUT_RATE = 0.25
DROPOUT_PATH = "/linear/20"


def _load(*names: str) -> list[ModuleType]:
    """Modules of the template. Their plain names (`datasets`, `models`) do not stay behind: other tests may have their own."""
    sys.path.insert(0, str(FOLDER))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(FOLDER))
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]


_configs, _datasets, _models, _loss = _load("configs.fashion_mnist", "datasets.fashion_mnist", "models.fashion_mnist", "training.loss")
FashionMnistModel: Any = _models.FashionMnistModel
FashionMnistLoss: Any = _loss.FashionMnistLoss


class SmoothModel(FashionMnistModel):
    """The template's network without kinks: GELU for ReLU, mean pooling for max pooling. Paths and shapes are the same.

    A ReLU or a maximum that is about to switch is switched by rounding, now on one side, now on the other, and each switch changes the
    gradient by up to 1e-2. Two native PyTorch loops, one in float32 and one in float64, part by 1e-4 to 1e-2 within 100 steps of the
    template for seven seeds of eight, and by less than 1e-6 of this network for every seed.
    """

    def build(self, image: Any) -> None:
        """As the template, with other functions in some places."""
        super().build(image)
        self.linear = [self._smooth(layer) for layer in self.linear]

    @staticmethod
    def _smooth(layer: Module) -> Module:
        if isinstance(layer, Activation):
            return Activation("gelu")
        return AveragePooling2D() if isinstance(layer, MaxPooling2D) else layer


class DropoutModel(SmoothModel):
    """The smooth network with dropout in front of its last layer."""

    def build(self, image: Any) -> None:
        """As the smooth one, and one layer more."""
        super().build(image)
        self.linear.insert(-1, Dropout(DROPOUT_RATE))


def make_config() -> Any:
    """The tutorial's configuration, on the images that come with babel_dl."""
    return _configs.FashionMnistConfig("mini")


def make_data(num_samples: int | None = None, split: str = "train") -> Dataset:
    """The first images of a split, held in memory; None for all."""
    dataset = _datasets.FashionMnistDataset(make_config(), split)
    dataset.transformers.append(_datasets.ImageTransformer())
    if num_samples is not None:
        dataset.all_sample_tokens = range(num_samples)
    return dataset.cached()
