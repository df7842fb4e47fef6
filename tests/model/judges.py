"""What PyTorch says of layers: functions of a layer's values, by their names, and an input, both in channels-last order."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def first(x: Tensor) -> Tensor:
    """Channels first, as PyTorch wants them."""
    return x.movedim(-1, 1)


def last(x: Tensor) -> Tensor:
    """Channels last, as we show them."""
    return x.movedim(1, -1)


def convolved(**options: Any) -> Callable[[Weights, Tensor], Tensor]:
    """The judge of a convolution with PyTorch's options."""
    pads, mode = options.pop("pads", None), options.pop("mode", "constant")
    before, then = options.pop("before", lambda x: x), options.pop("then", lambda y: y)

    def judge(w: Weights, x: Tensor) -> Tensor:
        x, kernel = before(first(x)), w["/weight"].movedim((-1, -2), (0, 1))
        convolve = F.conv2d if kernel.ndim == 4 else F.conv1d
        return then(last(convolve(F.pad(x, pads, mode) if pads else x, kernel, w.get("/bias"), **options)))

    return judge


def transposed(**options: Any) -> Callable[[Weights, Tensor], Tensor]:
    """The judge of a transposed convolution with PyTorch's options."""
    cut, groups = options.pop("cut", ()), options.get("groups", 1)

    def judge(w: Weights, x: Tensor) -> Tensor:
        parts = w["/weight"].chunk(groups, -1)  # each (*window, in / groups, out / groups)
        kernel = torch.cat([part.movedim((-2, -1), (0, 1)) for part in parts], 0)  # (in, out / groups, *window)
        convolve = F.conv_transpose2d if kernel.ndim == 4 else F.conv_transpose1d
        y = last(convolve(first(x), kernel, w.get("/bias"), **options))
        return y[(slice(None), *cut)] if cut else y

    return judge


def resized(mode: str, **options: Any) -> Callable[[Tensor], Tensor]:
    """PyTorch's resizing of channels first."""
    return lambda x: F.interpolate(x, mode=mode, **options)


def pooled(function: Callable[..., Tensor], *args: Any, **options: Any) -> Callable[[Weights, Tensor], Tensor]:
    """The judge of a pooling."""
    return lambda w, x: last(function(first(x), *args, **options))


def batch_normed(w: Weights, x: Tensor) -> Tensor:
    return last(F.batch_norm(first(x), None, None, w.get("/weight"), w.get("/bias"), training=True))


def layer_normed(num_axes: int, eps: float = 1e-5) -> Callable[[Weights, Tensor], Tensor]:
    return lambda w, x: F.layer_norm(x, x.shape[-num_axes:], w.get("/weight"), w.get("/bias"), eps)


def linear(w: Weights, x: Tensor, name: str = "") -> Tensor:
    y = x @ w[f"{name}/weight"]
    return y + w[f"{name}/bias"] if f"{name}/bias" in w else y


def residual(w: Weights, x: Tensor) -> Tensor:
    return linear(w, torch.relu(linear(w, x, "/layers/0")), "/layers/2")


def normed(w: Weights, x: Tensor, name: str) -> Tensor:
    return F.batch_norm(x, None, None, w[f"{name}/weight"], w[f"{name}/bias"], training=True)


def residual_block(stride: int = 1) -> Callable[[Weights, Tensor], Tensor]:
    """The judge of a residual block, as torchvision's BasicBlock computes it."""

    def convolve(w: Weights, x: Tensor, name: str, stride: int, padding: int) -> Tensor:
        return F.conv2d(x, w[f"{name}/weight"].permute(3, 2, 0, 1), None, stride, padding)

    def judge(w: Weights, x: Tensor) -> Tensor:
        x = first(x)
        y = torch.relu(normed(w, convolve(w, x, "/conv1", stride, 1), "/norm1"))
        y = normed(w, convolve(w, y, "/conv2", 1, 1), "/norm2")
        if "/shortcut/layers/0/weight" in w:
            x = normed(w, convolve(w, x, "/shortcut/layers/0", stride, 0), "/shortcut/layers/1")
        return last(torch.relu(y + x))

    return judge


def around(w: Weights, x: Tensor) -> Tensor:
    return torch.relu(linear(w, x, "/body/layers/0") + linear(w, x, "/shortcut/layer"))


def wide(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], shape[-1] + 2)
