"""What the table does not show of transposed convolutions: sizes, Keras' "same", the way back of a convolution, and what is refused."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Variable, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import Conv1DTranspose, Conv2D, Conv2DTranspose


def image(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("size", [(4, 3), (1, 2)])
@pytest.mark.parametrize("window", [1, 2, 3, (4, 5)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_is_tensorflows(backend: Backend, size: tuple[int, int], window: object, stride: int) -> None:
    layer, x = Conv2DTranspose(4, window, stride, use_bias=False), image(*size)  # type: ignore[arg-type]
    y = layer(x).numpy()
    kernel = layer.weight.numpy().transpose(0, 1, 3, 2)
    wanted = tf.nn.conv2d_transpose(x, kernel, (2, size[0] * stride, size[1] * stride, 4), stride, "SAME").numpy()
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"kernel_size": 4, "stride": 2}, (14, 12)), ({"kernel_size": 3, "stride": 2}, (14, 12)),
        ({"kernel_size": 2, "stride": 3}, (21, 18)), ({"kernel_size": 3}, (7, 6)), ({"kernel_size": 4, "padding": "valid"}, (10, 9)),
        ({"kernel_size": 3, "stride": 2, "padding": 1}, (13, 11)),
        ({"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": (1, 0)}, (14, 11)),
        ({"kernel_size": 3, "stride": 2, "padding": ((0, 1), (2, 0))}, (14, 11)), ({"kernel_size": 3, "dilation": 2}, (7, 6)),
        ({"kernel_size": 3, "stride": 2, "output_padding": 1}, (15, 13)),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_formula(backend: Backend, options: dict[str, Any], size: tuple[int, int]) -> None:
    assert Conv2DTranspose(5, **options)(image(7, 6)).shape == (2, *size, 5)


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"stride": (1, 3), "padding": (1, 2)}, {"padding": "valid"}, {"stride": 2, "dilation": (2, 1)}]
)
def test_it_is_the_gradient_of_a_convolution(backend: Backend, options: dict[str, Any]) -> None:
    """<conv(y), x> = <y, transpose(x)> for every x and y: so the transpose is the gradient of the left side for y."""
    forward = Conv2D(3, 5, use_bias=False, **options)
    y = Variable(image(12, 13 if "padding" in options else 12, 4))  # sizes that the stride leaves no rest of
    x = np.random.default_rng(1).normal(size=forward(y).shape).astype(np.float32)
    _, (wanted,) = value_and_grad(lambda: ops.sum(forward(y) * ops.asarray(x)), [y])
    back = Conv2DTranspose(4, 5, use_bias=False, **options)
    back(x)
    back.load_state_dict({"/weight": forward.weight.numpy().transpose(0, 1, 3, 2)})
    np.testing.assert_allclose(back(x).numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_height_and_width_do_not_swap(backend: Backend) -> None:
    kernel = np.zeros((3, 1, 1, 1), np.float32)
    kernel[2] = 1  # writes one row below
    layer, x = Conv2DTranspose(1, (3, 1), use_bias=False), image(4, 5, 1)
    layer(x)
    layer.load_state_dict({"/weight": kernel})
    np.testing.assert_array_equal(layer(x).numpy()[:, 1:], x[:, :-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 2}, "Conv2DTranspose needs output_padding below its stride or dilation, 2, and got 2"),
        ({"output_padding": (0, -1)}, r"output_padding as a number of at least 0, or 2 of them, and got \(0, -1\)"),
        ({"output_padding": True}, "output_padding as a number of at least 0"),
        ({"output_padding": (1,)}, r"or 2 of them, and got \(1,\)"),
        ({"filters": 0}, "Conv2DTranspose needs filters of at least 1, and got 0"),
        ({"groups": 3}, "groups that divide filters, and got 3 groups for 4 filters"),
        ({"padding": "full"}, 'Conv2DTranspose knows the paddings "same" and "valid"'),
        ({"stride": 0}, "Conv2DTranspose needs stride as a number of at least 1"),
    ],
)  # fmt: skip
def test_a_transposed_convolution_refuses_what_it_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Conv2DTranspose(**{"filters": 4, "kernel_size": 3, "stride": 2, **options})


def test_padding_that_cuts_off_everything_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"Conv1DTranspose got spatial sizes \(1,\), and its padding cuts off all that its windows write"):
        Conv1DTranspose(4, 2, padding=1)(np.ones((2, 1, 3), np.float32))
