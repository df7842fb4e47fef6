"""What the table does not show of convolutions: "same" as TensorFlow defines it, layout, and what constructors refuse."""

import numpy as np
import pytest
import tensorflow as tf

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import AveragePooling2D, Conv1D, Conv2D, MaxPooling2D, Sequential


def image(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("size", [(7, 6), (8, 5), (1, 2)])
@pytest.mark.parametrize("window", [1, 2, 3, (4, 3), (5, 2)])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
def test_same_padding_is_tensorflows(backend: Backend, size: tuple[int, int], window: object, stride: object) -> None:
    layer, x = Conv2D(4, window, stride=stride, use_bias=False), image(*size)
    y = layer(x)
    wanted = tf.nn.conv2d(x, layer.weight.numpy(), stride, "SAME").numpy()
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_of_a_dilated_window_is_tensorflows(backend: Backend, stride: int) -> None:
    layer, x = Conv2D(4, 3, stride=stride, dilation=2 if stride == 1 else 1, use_bias=False), image(7, 6)
    y = layer(x)
    wanted = tf.nn.conv2d(x, layer.weight.numpy(), stride, "SAME", dilations=layer.dilation).numpy()
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(7, 6), (4, 5)])
@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), ((3, 2), (1, 3))])
def test_same_padding_of_poolings_is_tensorflows(backend: Backend, size: tuple[int, int], window: object, stride: object) -> None:
    x = image(*size) - 3  # below 0, so that a padded zero would win
    for layer, native in ((MaxPooling2D, tf.nn.max_pool2d), (AveragePooling2D, tf.nn.avg_pool2d)):
        np.testing.assert_allclose(layer(window, stride, padding="same")(x).numpy(), native(x, window, stride, "SAME").numpy(), rtol=1e-5)


def test_one_window_is_a_cross_correlation_in_channels_last_order(backend: Backend) -> None:
    layer, x = Conv2D(2, (2, 3), padding="valid"), image(2, 3)
    y = layer(x).numpy()
    assert layer.weight.shape == (2, 3, 3, 2)
    np.testing.assert_allclose(y[:, 0, 0], np.einsum("bhwc,hwcf->bf", x, layer.weight.numpy()), rtol=1e-5, atol=1e-6)


def test_height_and_width_do_not_swap(backend: Backend) -> None:
    kernel = np.zeros((3, 1, 1, 1), np.float32)
    kernel[0] = 1  # looks one row up
    layer, x = Conv2D(1, (3, 1), use_bias=False), image(4, 5, 1)
    layer(x)
    layer.load_state_dict({"/weight": kernel})
    np.testing.assert_array_equal(layer(x).numpy()[:, 1:], x[:, :-1])


def test_sizes_of_the_batch_and_the_image_may_change(backend: Backend) -> None:
    layer = Conv2D(4, 3, stride=2)
    shapes = [layer(np.ones((batch, size, size + 1, 3), np.float32)).shape for batch, size in ((1, 8), (3, 8), (2, 5))]
    assert shapes == [(1, 4, 5, 4), (3, 4, 5, 4), (2, 3, 3, 4)]


def test_integers_and_pairs_mean_what_they_say(backend: Backend) -> None:
    shapes = [Conv2D(1, 3, padding=padding)(image(6, 8)).shape[1:3] for padding in (0, "valid", 1, (2, 0), ((1, 0), (0, 2)))]
    assert shapes == [(4, 6), (4, 6), (6, 8), (8, 6), (5, 8)]
    assert Conv1D(1, 3, padding=(2,))(image(6, 8)[0]).shape == (6, 10, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "Conv2D needs filters of at least 1, and got 0"),
        ({"filters": 2.0}, "Conv2D needs filters of at least 1, and got 2.0"),
        ({"kernel_size": 0}, "Conv2D needs kernel_size as a number of at least 1, or 2 of them, and got 0"),
        ({"kernel_size": (3,)}, r"needs kernel_size as .* or 2 of them, and got \(3,\)"),
        ({"stride": (1, -1)}, r"needs stride as .*got \(1, -1\)"),
        ({"dilation": True}, "needs dilation as a number of at least 1"),
        ({"groups": 3}, "groups that divide filters, and got 3 groups for 4 filters"),
        ({"groups": 0}, "Conv2D needs groups of at least 1, and got 0"),
        ({"padding": "full"}, 'knows the paddings "same" and "valid" .*got \'full\''),
        ({"padding": -1}, "padding as a number of at least 0, 2 of them, or pairs .*it got -1"),
        ({"padding": (1, 2, 3)}, r"it got \(1, 2, 3\)"),
        ({"padding": ((1, 2, 3), (1, 1))}, r"it got \(\(1, 2, 3\), \(1, 1\)\)"),
        ({"activation": "rleu"}, "There is no activation 'rleu'. Did you mean 'relu'"),
        ({"initializer": "one"}, "There is no initializer 'one'. Did you mean 'ones'"),
    ],
)  # fmt: skip
def test_a_convolution_refuses_what_it_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Conv2D(**{"filters": 4, "kernel_size": 3, **options})


def test_groups_must_divide_the_channels_of_the_input(backend: Backend) -> None:
    with pytest.raises(ArgumentError, match="Conv2D '/layers/0' needs groups that divide the input's channels, and got 2 for 3"):
        Sequential(Conv2D(4, 3, groups=2))(image(6, 6))


@pytest.mark.parametrize(
    "layer", [Conv2D(4, 5, padding="valid"), Conv2D(4, 3, dilation=3, padding=1), MaxPooling2D(5), AveragePooling2D((1, 5))]
)
def test_a_window_larger_than_the_image_is_refused(backend: Backend, layer: Module) -> None:
    message = r"got spatial sizes \(4, 4\), and its window reaches over \d places on axis \d.\n  Padding .* Use padding"
    with pytest.raises(ShapeError, match=message):
        layer(image(4, 4))


def test_another_number_of_axes_is_refused_also_after_the_build(backend: Backend) -> None:
    layer = Conv2D(4, 3)
    for _ in range(2):
        message = r"Conv2D got an input of shape \(28, 28, 3\).\n  It needs 4 axes: \(batch, height, width, channels\)"
        with pytest.raises(ShapeError, match=message):
            layer(np.ones((28, 28, 3), np.float32))
        layer(image(6, 6))


def test_the_start_is_glorots_and_biases_are_zero(backend: Backend) -> None:
    layer = Conv2D(64, (3, 5)).build_from(image(6, 6, 16))
    limit = np.sqrt(6 / (3 * 5 * (16 + 64)))
    weight = layer.weight.numpy()
    assert 0.99 * limit < np.abs(weight).max() <= limit
    assert not layer.bias.numpy().any()


def test_unsigned_images_become_floats(backend: Backend) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3)).astype(np.uint8)
    layer = Conv2D(4, 3)
    np.testing.assert_allclose(layer(pixels).numpy(), layer(pixels.astype(np.float32)).numpy(), rtol=1e-6)
    assert ops.convolution(ops.asarray(pixels), layer.weight, None, (1, 1), ((0, 0), (0, 0)), (1, 1)).dtype == "float32"
