"""What the table does not show of resizing layers, adaptive poolings, padding modes and options of activations."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Variable, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import (
    Activation,
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling2D,
    Conv2D,
    FullyConnected,
    Resize,
    UpsampleConv2D,
)

IMAGE = np.random.default_rng(0).normal(size=(2, 7, 9, 4)).astype(np.float32)


def test_an_upsampling_convolution_is_a_convolution_of_the_larger_image(backend: Backend) -> None:
    layer = UpsampleConv2D(5, 3, padding_mode="reflect")
    y = layer(IMAGE).numpy()
    plain = Conv2D(5, 3, padding_mode="reflect").build_from(IMAGE)
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(y, plain(IMAGE.repeat(2, 1).repeat(2, 2)).numpy())


def test_padding_with_nothing_to_pad_is_none(backend: Backend) -> None:
    layer = Conv2D(5, 3, padding="valid", padding_mode="circular")
    y = layer(IMAGE).numpy()
    layer.padding_mode = "zeros"
    np.testing.assert_array_equal(layer(IMAGE).numpy(), y)


def test_an_image_that_is_too_small_to_reflect_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match="ops.pad in mode 'reflect' cannot add 3 places to axis 1"):
        Conv2D(5, 7, padding_mode="reflect")(IMAGE[:, :3])


def test_the_first_of_equal_elements_takes_the_gradient_row_by_row(backend: Backend) -> None:
    x = Variable(np.zeros((1, 5, 5, 1), np.float32))  # windows of 3 x 3 that overlap in the middle
    (gradient,) = value_and_grad(lambda: ops.sum(AdaptiveMaxPooling2D(2)(x)), [x])[1]
    assert np.flatnonzero(gradient.numpy()).tolist() == [0, 2, 10, 12]
    y = Variable(np.array([[0, 7, 1, 0, 0], [7, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32).reshape(1, 3, 5, 1))
    (gradient,) = value_and_grad(lambda: ops.sum(AdaptiveMaxPooling2D((1, 2))(y)), [y])[1]
    assert np.flatnonzero(gradient.numpy()).tolist() == [1, 2]


def test_one_window_is_a_global_pooling(backend: Backend) -> None:
    np.testing.assert_allclose(AdaptiveAveragePooling2D(1)(IMAGE).numpy(), IMAGE.mean((1, 2), keepdims=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(AdaptiveMaxPooling2D(1)(IMAGE).numpy(), IMAGE.max((1, 2), keepdims=True))


def test_more_windows_than_places_repeat_places(backend: Backend) -> None:
    x = np.arange(3, dtype=np.float32).reshape(1, 3, 1)
    assert AdaptiveAveragePooling1D(5)(x).numpy().ravel().tolist() == [0, 0.5, 1, 1.5, 2]


@pytest.mark.parametrize("size", [0, (3,), (2, -1), 1.5, True, "2"])
def test_what_is_no_number_of_windows_is_refused(size: Any) -> None:
    with pytest.raises(ArgumentError, match=r"AdaptiveAveragePooling2D needs a size of at least 1, or 2 of them, None to keep one; it got"):
        AdaptiveAveragePooling2D(size)


def test_an_image_without_places_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"AdaptiveMaxPooling2D got an input of shape .*; spatial axes must have known sizes"):
        AdaptiveMaxPooling2D(1)(IMAGE[:, :0])
    with pytest.raises(ShapeError, match=r"AdaptiveAveragePooling1D got an input of shape .*\n  It needs 3 axes: \(batch, length"):
        AdaptiveAveragePooling1D(1)(IMAGE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resize(), "Resize needs either size or scale, and got size=None and scale=None"),
        (lambda: Resize(3, scale=2), "Resize needs either size or scale, and got size=3 and scale=2"),
        (lambda: Resize(0), "Resize needs size as a whole number above 0, or one for each spatial axis, and got 0"),
        (lambda: Resize(2.5), "Resize needs size as a whole number above 0, .*got 2.5"),
        (lambda: Resize(scale=(1, -2)), r"Resize needs scale as a number above 0, .*got \(1, -2\)"),
        (lambda: UpsampleConv2D(4, 3, factor=0), "UpsampleConv2D needs factor as a number above 0, .*got 0"),
        (lambda: Resize(3, "nearset"), "Resize has no mode 'nearset'. Did you mean 'nearest'"),
        (lambda: UpsampleConv2D(4, 3, mode="cubic"), "UpsampleConv2D has no mode 'cubic'. Known: bilinear, nearest"),
        (lambda: Conv2D(4, 3, padding_mode="mirror"), "Conv2D has no padding_mode 'mirror'. Known: circular, reflect, replicate, zeros"),
        (lambda: Activation("leaky_relu", slope=0.2), "The activation 'leaky_relu' takes no option 'slope'. Known: negative_slope"),
        (lambda: Activation("elu", alhpa=0.2), "The activation 'elu' takes no option 'alhpa'. Did you mean 'alpha'"),
        (lambda: Activation("relu", alpha=1), "The activation 'relu' takes no option 'alpha'. It takes none."),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_options_of_activations_reach_the_function(backend: Backend) -> None:
    x = ops.asarray(np.array([[-2.0, 4.0], [1.0, 1.0]], np.float32))
    assert Activation("leaky_relu", negative_slope=0.5)(x).numpy().tolist() == [[-1.0, 4.0], [1.0, 1.0]]
    np.testing.assert_allclose(Activation("softmax", axis=0)(x).numpy().sum(0), 1.0, rtol=1e-6)
    assert Activation(lambda x, **options: x * options["by"], by=3)(x).numpy()[0].tolist() == [-6.0, 12.0]
    layer = FullyConnected(3, activation=Activation("elu", alpha=0.1))
    assert layer(x).numpy().min() > -0.1
