"""The networks have the sizes and forms that the pages state, and refuse what they were not made for."""

import copy

import numpy as np
import pytest

from babel_dl import SPLIT_DEV, ops
from babel_dl.core import TensorSpec
from babel_dl.errors import ShapeError
from babel_dl.model.layers import BatchNormalization, Conv2D, Conv2DTranspose, FullyConnected
from examples.mnist.data import samples, to_bytes, to_unit
from examples.mnist.networks import Discriminator, Generator
from examples.mnist.simple_conv import SimpleConvClassifier
from examples.mnist.simple_vae import KLD_WEIGHT, LATENT_DIM, SimpleVAE, SimpleVAELoss

IMAGES = TensorSpec((None, 28, 28, 1), "uint8")


def num_weights(module):
    return sum(variable.size for variable in module.trainable_variables)


def test_the_classifier_has_the_98666_weights_of_the_post(backend):
    assert num_weights(SimpleConvClassifier(1, 10).build_from(IMAGES)) == 98666


def test_the_other_networks_have_the_sizes_that_the_pages_state(backend):
    assert num_weights(SimpleVAE(1, 28).build_from(IMAGES)) == 471073
    assert num_weights(Generator(1, 28).build_from(TensorSpec((None, 128)))) == 1181569
    assert num_weights(Discriminator(1).build_from(TensorSpec((None, 28, 28, 1)))) == 390337


@pytest.mark.parametrize("network", [SimpleConvClassifier(3, 10), SimpleVAE(3, 28), Discriminator(3)])
def test_images_with_other_channels_are_refused(backend, network):
    with pytest.raises(ShapeError, match=r"was made for in_channels=3, and got images of shape \(.*28, 28, 1\), channels last"):
        copy.deepcopy(network).build_from(IMAGES)


def test_the_auto_encoder_can_say_less_than_nothing_of_a_feature(backend):
    """With the ReLU that the post has behind the encoder no mean is below 0, and no deviation below 1."""
    answer = SimpleVAE(1, 28)(samples("mini", SPLIT_DEV, 50)[0])
    assert answer["mu"].shape == answer["log_var"].shape == (50, LATENT_DIM)
    assert answer["mu"].numpy().min() < 0 and answer["log_var"].numpy().min() < 0


def test_the_loss_of_the_auto_encoder_is_the_formula_of_the_paper(backend):
    rng = np.random.default_rng(0)
    images = samples("mini", SPLIT_DEV, 8)[0]
    mu, log_var = (rng.normal(size=(8, 5)).astype(np.float32) for _ in range(2))
    painted = rng.random((8, 28, 28, 1)).astype(np.float32)
    Inputs = type("Inputs", (), {"image": images})
    found = SimpleVAELoss()({"mu": mu, "log_var": log_var, "image": painted}, None, inputs=Inputs)
    mse = np.mean((painted.astype(np.float64) - images / 255.0) ** 2)
    # the divergence of two normal distributions, for each sample summed over the features
    kld = np.mean(np.sum(0.5 * (np.exp(log_var.astype(np.float64)) + mu.astype(np.float64) ** 2 - 1 - log_var), axis=1))
    assert float(found["mse"]) == pytest.approx(mse, rel=1e-5)
    assert float(found["kld"]) == pytest.approx(kld, rel=1e-5)
    assert float(found["loss"]) == pytest.approx(mse + KLD_WEIGHT * kld, rel=1e-5)


def test_the_generator_paints_between_black_and_white(backend):
    images = Generator(1, 28)(np.random.default_rng(0).normal(size=(16, 128)).astype(np.float32)).numpy()
    assert images.shape == (16, 28, 28, 1)
    assert 0.0 < images.min() < images.max() < 1.0


def test_the_discriminator_has_four_opinions(backend):
    assert Discriminator(1)(np.zeros((3, 28, 28, 1), np.float32)).shape == (3, 2, 2, 1)


def test_only_layers_without_a_normalization_behind_them_have_a_bias(backend):
    """It would be taken off again."""
    networks = Generator(1, 28).build_from(TensorSpec((None, 128))), Discriminator(1).build_from(TensorSpec((None, 28, 28, 1)))
    for network in networks:
        layers = [layer for layer in network.net if isinstance(layer, (FullyConnected, Conv2D, Conv2DTranspose, BatchNormalization))]
        for layer, after in zip(layers, [*layers[1:], None], strict=True):
            if not isinstance(layer, BatchNormalization):
                assert (layer.bias is None) == isinstance(after, BatchNormalization), layer.path


def test_bytes_and_unit_are_each_others_way_back(backend):
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert np.array_equal(to_bytes(to_unit(ops.asarray(images)).numpy()), images)
    assert to_bytes(np.array([-0.2, 0.5, 1.7])).tolist() == [0, 128, 255]
