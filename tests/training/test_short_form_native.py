"""Modules of the frameworks themselves in a training in one call. The class is that of the tutorial on MNIST, as it stands there."""

import numpy as np
import pytest

import babel_dl
from babel_dl.backend import use_backend
from babel_dl.core.native.module import NativeModule
from babel_dl.core.registry import MODULES
from babel_dl.data import load_dataset
from babel_dl.errors import ArgumentError
from babel_dl.training.optimizers import SGD

pytestmark = pytest.mark.usefixtures("elsewhere", "names_of_this_test")
MINI = {"name": "fashion_mnist", "data": "mini"}
CONFIG = {"in_channels": 1, "num_classes": 10}


@pytest.fixture
def names_of_this_test(monkeypatch):
    """What a test registers is gone after it: the examples have a model of the tutorial's name, too."""
    monkeypatch.setattr(MODULES, "_things", {})
    monkeypatch.setattr(MODULES, "_spellings", {})


@pytest.fixture
def on_torch():
    with use_backend("torch"):
        yield


@pytest.fixture
def on_tensorflow():
    with use_backend("tensorflow"):
        yield


@pytest.fixture
def on_jax():
    with use_backend("jax"):
        yield


def simple_conv():
    """The tutorial's classifier, with `cflearn` read as `babel_dl`."""
    from torch import nn

    @babel_dl.register_module("simple_conv")
    class SimpleConvClassifier(nn.Sequential):
        def __init__(self, in_channels: int, num_classes: int):
            super().__init__(
                nn.Conv2d(in_channels, 16, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(16),
                nn.MaxPool2d(2),
                nn.Conv2d(16, 32, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(32),
                nn.MaxPool2d(2),
                nn.Conv2d(32, 64, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(64),
                nn.MaxPool2d(2),
                nn.Conv2d(64, 128, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(1),
                nn.Linear(128, num_classes),
            )

    return SimpleConvClassifier


class TestTorch:
    """On the backend whose modules they are."""

    backend_name = "torch"

    def test_the_tutorials_class_trains_as_it_stands(self, on_torch):
        kind = simple_conv()
        options = {"loss": "cross_entropy", "metrics": "acc", "transform": "to_tensor"}
        result = babel_dl.fit(MINI, "simple_conv", CONFIG, epochs=1, batch_size=32, **options)
        assert result.metrics["metrics/acc"] > 0.6
        assert isinstance(result.model, NativeModule)
        assert isinstance(result.model.native, kind)
        assert result.settings.model_config == CONFIG
        assert result.settings.model_class == "SimpleConvClassifier"
        assert (result.run_folder / "checkpoints" / "best.safetensors").exists()
        again = babel_dl.fit(
            MINI, "simple_conv", CONFIG, epochs=1, batch_size=32, run_folder=result.run_folder, resume=True, **options
        )
        assert again.metrics == result.metrics

    def test_its_answers_are_those_of_pytorch(self, on_torch):
        import torch

        result = babel_dl.fit(MINI, simple_conv(), CONFIG, steps=3, transform="to_tensor", run_folder=False)
        data = result.trainer._train_loader.dataset.filter(lambda token: token < 5)
        pictures = torch.tensor(np.stack([sample.image for sample, _ in data])).permute(0, 3, 1, 2)
        with torch.no_grad():
            expected = result.model.native.eval()(pictures).numpy()
        np.testing.assert_allclose(np.stack(result.trainer.predict(data)), expected, rtol=1e-4, atol=1e-5)

    def test_a_loss_of_pytorch_serves_as_one(self, on_torch):
        import torch

        def settings(loss):
            torch.manual_seed(0)
            options = {"transform": "to_tensor", "optimizer": SGD(0.01), "run_folder": False}
            return babel_dl.fit(MINI, simple_conv(), CONFIG, loss=loss, steps=3, **options)

        x = settings("cross_entropy").metrics["loss/total"]
        cast = settings(lambda y_pred, y_true: torch.nn.functional.cross_entropy(y_pred, y_true.class_id.astype("int64").native))
        assert cast.metrics["loss/total"] == pytest.approx(x, rel=1e-5)

    def test_an_argument_that_the_class_does_not_have_is_refused(self, on_torch):
        with pytest.raises(ArgumentError, match="The model 'simple_conv' has no argument 'channels'. .*\n  It takes: in_channels: int, "):
            simple_conv()
            babel_dl.fit(MINI, "simple_conv", {"channels": 1, "num_classes": 10}, run_folder=False)


class TestTensorflow:
    """On the backend whose modules they are."""

    backend_name = "tensorflow"

    def test_a_keras_model_trains_by_its_name(self, on_tensorflow):
        import keras

        @babel_dl.register_module("keras_of_the_test")
        def make(num_classes: int):
            return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(32, "relu"), keras.layers.Dense(num_classes)])

        result = babel_dl.fit(MINI, "keras_of_the_test", {"num_classes": 10}, metrics="acc", transform="to_tensor", run_folder=False)
        assert result.metrics["metrics/acc"] > 0.6
        assert list(result.settings.train_loss) == ["cross_entropy"]
        assert len(result.trainer.predict(load_dataset("fashion_mnist", "dev", "mini").filter(lambda token: token < 3))) == 3


class TestJax:
    """On the backend whose modules they are."""

    backend_name = "jax"

    def test_a_flax_module_trains_by_its_name(self, on_jax):
        from flax import nnx

        @babel_dl.register_module("flax_of_the_test")
        class Net(nnx.Module):
            def __init__(self, num_classes: int, seed: int = 0):
                rngs = nnx.Rngs(seed)
                self.first, self.second = nnx.Linear(784, 32, rngs=rngs), nnx.Linear(32, num_classes, rngs=rngs)

            def __call__(self, picture):
                return self.second(nnx.relu(self.first(picture.reshape(picture.shape[0], -1))))

        result = babel_dl.fit(MINI, "flax_of_the_test", {"num_classes": 10}, metrics="acc", transform="to_tensor", run_folder=False)
        assert result.metrics["metrics/acc"] > 0.6
        assert result.settings.model_config == {"num_classes": 10, "seed": 0}
