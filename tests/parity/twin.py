"""The outside judge: the template's network, its training and its dropout masks, written by hand in PyTorch and numpy alone."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.parity.runs import DROPOUT, TEMPLATE, Setup
from tests.parity.template import DROPOUT_PATH, DROPOUT_RATE

WIDTHS = (1, 12, 18, 18, 18)


class TwinModel(nn.Module):
    """The network in PyTorch's own layout, channels first.

    Args:
        kept: Gives the elements that dropout keeps, for the shape of its input; None for a network without dropout.
    """

    def __init__(self, kept: Callable[[tuple[int, ...]], Tensor] | None = None, is_smooth: bool = False) -> None:
        super().__init__()
        self.kept = kept
        self.activation, self.pooling = (F.gelu, F.avg_pool2d) if is_smooth else (torch.relu, F.max_pool2d)
        self.norms = nn.ModuleList([*map(nn.BatchNorm2d, WIDTHS[:4]), nn.BatchNorm1d(WIDTHS[4])])
        self.convolutions = nn.ModuleList([nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(WIDTHS)])
        self.hidden = nn.Linear(18, 18)
        self.output = nn.Linear(18, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, 10) of images (batch, 1, height, width)."""
        net = image
        for place, (norm, convolution) in enumerate(zip(self.norms, self.convolutions, strict=False)):
            net = self.activation(convolution(norm(net)))
            net = self.pooling(net, 2) if place < 3 else net.mean((2, 3))
        net = self.activation(self.hidden(self.norms[4](net)))
        if self.kept is not None and self.training:
            net = torch.where(self.kept(tuple(net.shape)), net / (1 - DROPOUT_RATE), 0.0)
        return self.output(net)

    def layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Our path of each layer that has variables, and the layer."""
        for place, norm in enumerate(self.norms):
            yield f"/linear/{4 * place}", norm
        for place, convolution in enumerate(self.convolutions):
            yield f"/linear/{4 * place + 1}", convolution
        yield "/linear/18", self.hidden
        yield "/linear/20" if self.kept is None else "/linear/21", self.output

    def named_by_path(self) -> dict[str, Tensor]:
        """Its parameters and running statistics by our paths."""
        return {f"{path}/{name}": value for path, layer in self.layers() for name, value in layer.state_dict(keep_vars=True).items()}

    def load_canonical(self, values: dict[str, np.ndarray]) -> "TwinModel":
        """Copies weights and statistics in our layout; others, such as counters of dropout, are left out."""
        with torch.no_grad():
            for path, target in self.named_by_path().items():
                target.copy_(torch.from_numpy(np.array(to_torch_layout(values[path]), order="C")))
        return self

    def canonical(self) -> dict[str, np.ndarray]:
        """Weights and statistics in our layout."""
        return {path: to_our_layout(value.detach().numpy()) for path, value in self.named_by_path().items()}

    def canonical_gradients(self) -> dict[str, np.ndarray]:
        """The gradients in our layout."""
        return {path: to_our_layout(value.grad.numpy()) for path, value in self.named_by_path().items() if value.grad is not None}


def to_torch_layout(array: np.ndarray) -> np.ndarray:
    """(height, width, in, out) to (out, in, height, width), and (in, out) to (out, in)."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def to_our_layout(array: np.ndarray) -> np.ndarray:
    """The other way."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def loss_of(model: TwinModel, batch: Any) -> Tensor:
    """The mean cross entropy of a batch of our loader."""
    (image,), (class_id,) = batch
    kind = model.output.weight.dtype
    features = torch.from_numpy(image).to(kind).permute(0, 3, 1, 2).contiguous()
    return F.cross_entropy(model(features), torch.from_numpy(class_id).long())


def twin_steps(model: TwinModel, optimizer: torch.optim.Optimizer, batches: Iterable[Any]) -> Iterator[float]:
    """A plain training loop with the schedule of the tutorial on 6,000 images; the loss of each step, before it."""
    model.train()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = 0.001 * math.exp(-0.1 / 187.5 * step)
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        yield loss.item()


def twin_of(setup: Setup, dtype: torch.dtype) -> tuple[TwinModel, torch.optim.Optimizer]:
    """The same network and optimizer in PyTorch, without weights to compare yet."""
    kept = dropout_masks(setup.seed, DROPOUT_PATH, DROPOUT_RATE) if setup is DROPOUT else None
    model = TwinModel(kept, is_smooth=setup is not TEMPLATE).to(dtype)
    if setup is DROPOUT:
        return model, torch.optim.Adam(model.parameters(), lr=0.001)
    return model, torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.95, nesterov=True)


def dropout_masks(seed: int, path: str, rate: float) -> Callable[[tuple[int, ...]], Tensor]:
    """The masks that the dropout layer at `path` draws, one after the other, from the description of `babel_dl.core.random` alone."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (f"int:{seed}", "str:stream", f"str:{path}/random"):
        digest.update(len(part).to_bytes(8, "little") + part.encode())
    key = np.frombuffer(digest.digest()[:8], "<u4")
    draws = iter(range(2**31))

    def kept(shape: tuple[int, ...]) -> Tensor:
        base = _mix(_mix(np.array([next(draws)], np.uint32) ^ key[0]) ^ key[1])
        places = np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B1)
        bits = _mix(_mix(places + base) ^ _mix(base ^ key[1]))
        signed = bits.view(np.int32) >> 8
        return torch.from_numpy((signed < round((1 - rate) * 2**24) - 2**23).reshape(shape))

    return kept


def _mix(x: np.ndarray) -> np.ndarray:
    """MurmurHash3's finaliser, fmix32."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
