"""The table of layers: how each is made, what it takes, and what PyTorch says it gives.

A judge computes from the layer's own values, by their names, in channels-last order as users see it; a test that asks for `case` runs once
for each row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from babel_dl.backend.names import canonical_name
from babel_dl.core import Module
from babel_dl.model.layers import (
    Activation,
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AveragePooling1D,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dropout,
    Embedding,
    Flatten,
    FullyConnected,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    Identity,
    Lambda,
    LayerNorm,
    MaxPooling1D,
    MaxPooling2D,
    Reshape,
    Residual,
    ResidualBlock,
    Resize,
    Sequential,
    UpsampleConv2D,
)
from tests.model.judges import (
    Weights,
    around,
    batch_normed,
    convolved,
    layer_normed,
    linear,
    pooled,
    residual,
    residual_block,
    resized,
    transposed,
    wide,
)

ROW, SEQUENCE, IMAGE = (4, 6), (3, 9, 4), (2, 7, 6, 4)


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Args:
        make: Makes the layer.
        shape: The shape of an input.
        judge: What PyTorch gives for the layer's values and the input.
        refused: A shape that the built layer must refuse because of its last axis; None if it takes any.
        unbuildable: A shape that it cannot be built on; None if there is none.
        judged_in_eval: Whether the judge says what happens in evaluation, and training is random.
        differs_in_eval: Whether evaluation gives other numbers than training.
        classes: The input is whole numbers below this, if not 0.
    """

    make: Callable[[], Module]
    shape: tuple[int, ...]
    judge: Callable[[Weights, Tensor], Tensor]
    refused: tuple[int, ...] | None = None
    unbuildable: tuple[int, ...] | None = None
    judged_in_eval: bool = False
    differs_in_eval: bool = False
    classes: int = 0

    def input(self, batch: int | None = None) -> np.ndarray:
        """An input, the same for every call."""
        shape = self.shape if batch is None else (batch, *self.shape[1:])
        rng = np.random.default_rng(0)
        if self.classes:
            return rng.integers(0, self.classes, shape).astype(np.int32)
        return rng.normal(size=shape).astype(np.float32)

    def layer(self) -> Module:
        """A layer in the mode that the judge judges."""
        return self.make().train(not self.judged_in_eval)


CASES = {
    "fully connected": Case(lambda: FullyConnected(5), ROW, linear, wide(ROW), ()),
    "fully connected without bias": Case(lambda: FullyConnected(5, use_bias=False), ROW, linear, wide(ROW), (3, 0)),
    "fully connected with activation": Case(
        lambda: FullyConnected(5, activation="relu"), SEQUENCE, lambda w, x: torch.relu(linear(w, x)), wide(SEQUENCE)
    ),
    "conv2d": Case(lambda: Conv2D(5, 3), IMAGE, convolved(padding="same"), wide(IMAGE), SEQUENCE),
    "conv2d with an even window": Case(lambda: Conv2D(5, (4, 2)), IMAGE, convolved(pads=(0, 1, 1, 2)), wide(IMAGE)),
    "conv2d valid": Case(lambda: Conv2D(5, (3, 2), (2, 1), "valid", use_bias=False), IMAGE, convolved(stride=(2, 1)), wide(IMAGE)),
    "conv2d padded": Case(lambda: Conv2D(5, 3, stride=2, padding=1), IMAGE, convolved(stride=2, padding=1), wide(IMAGE)),
    "conv2d padded by axis": Case(lambda: Conv2D(5, 3, padding=(2, 0)), IMAGE, convolved(padding=(2, 0))),
    "conv2d padded in pairs": Case(lambda: Conv2D(5, 3, padding=((0, 2), (1, 0))), IMAGE, convolved(pads=(1, 0, 0, 2))),
    "conv2d dilated": Case(lambda: Conv2D(5, 3, dilation=(2, 1)), IMAGE, convolved(padding="same", dilation=(2, 1))),
    "conv2d in groups": Case(lambda: Conv2D(6, 3, groups=2), IMAGE, convolved(padding="same", groups=2), wide(IMAGE), (2, 7, 6, 3)),
    "conv2d depthwise": Case(lambda: Conv2D(8, 3, groups=4), IMAGE, convolved(padding="same", groups=4)),
    "conv2d with activation": Case(lambda: Conv2D(5, 1, activation="tanh"), IMAGE, convolved(then=torch.tanh)),
    "conv1d": Case(lambda: Conv1D(5, 3), SEQUENCE, convolved(padding="same"), wide(SEQUENCE), IMAGE),
    "conv1d valid": Case(lambda: Conv1D(5, 4, stride=3, padding="valid"), SEQUENCE, convolved(stride=3), wide(SEQUENCE)),
    "conv1d padded in pairs": Case(lambda: Conv1D(5, 3, padding=((2, 1),), dilation=2), SEQUENCE, convolved(pads=(2, 1), dilation=2)),
    "conv1d in groups": Case(lambda: Conv1D(6, 3, groups=2, use_bias=False), SEQUENCE, convolved(padding="same", groups=2)),
    "conv2d reflecting": Case(
        lambda: Conv2D(5, (3, 5), padding_mode="reflect"), IMAGE, convolved(pads=(2, 2, 1, 1), mode="reflect"), wide(IMAGE)
    ),
    "conv2d going around": Case(
        lambda: Conv2D(5, 3, stride=2, padding=1, padding_mode="circular"), IMAGE, convolved(pads=(1,) * 4, mode="circular", stride=2)
    ),
    "conv1d replicating": Case(
        lambda: Conv1D(5, 4, padding_mode="replicate"), SEQUENCE, convolved(pads=(1, 2), mode="replicate"), wide(SEQUENCE)
    ),
    "conv2d transpose": Case(lambda: Conv2DTranspose(5, 4, stride=2), IMAGE, transposed(stride=2, padding=1), wide(IMAGE), SEQUENCE),
    "conv2d transpose with an odd window": Case(  # 15 x 13 places are made, and 14 x 12 of them kept, the smaller half cut first
        lambda: Conv2DTranspose(5, 3, stride=2, use_bias=False), IMAGE, transposed(stride=2, cut=(slice(14), slice(12))), wide(IMAGE)
    ),
    "conv2d transpose with gaps": Case(
        lambda: Conv2DTranspose(5, 2, stride=(3, 2)), IMAGE, transposed(stride=(3, 2), output_padding=(1, 0)), wide(IMAGE)
    ),
    "conv2d transpose valid": Case(lambda: Conv2DTranspose(5, (3, 2), 2, "valid"), IMAGE, transposed(stride=2), wide(IMAGE)),
    "conv2d transpose padded": Case(
        lambda: Conv2DTranspose(5, 3, 2, padding=1, output_padding=1), IMAGE, transposed(stride=2, padding=1, output_padding=1)
    ),
    "conv2d transpose padded in pairs": Case(
        lambda: Conv2DTranspose(5, 3, padding=((0, 2), (1, 0)), activation="tanh"), IMAGE,
        lambda w, x: torch.tanh(transposed(cut=(slice(7), slice(1, None)))(w, x)),
    ),
    "conv2d transpose dilated": Case(lambda: Conv2DTranspose(5, 3, 2, 2, 1, dilation=2), IMAGE, transposed(
        stride=2, padding=2, output_padding=1, dilation=2)),
    "conv2d transpose in groups": Case(
        lambda: Conv2DTranspose(6, 4, 2, groups=2), IMAGE, transposed(stride=2, padding=1, groups=2), wide(IMAGE), (2, 7, 6, 3)
    ),
    "conv1d transpose": Case(lambda: Conv1DTranspose(5, 4, 2), SEQUENCE, transposed(stride=2, padding=1), wide(SEQUENCE), IMAGE),
    "upsample conv2d": Case(
        lambda: UpsampleConv2D(5, 3), IMAGE, convolved(before=resized("nearest", scale_factor=2), padding="same"), wide(IMAGE), SEQUENCE
    ),
    "upsample conv2d bilinear": Case(
        lambda: UpsampleConv2D(5, 3, factor=(1.5, 2), mode="bilinear", stride=2, padding=1, activation="relu"), IMAGE,
        convolved(before=resized("bilinear", size=(10, 12)), stride=2, padding=1, then=torch.relu), wide(IMAGE)
    ),
    "resize": Case(lambda: Resize((10, 4)), IMAGE, pooled(resized("bilinear", size=(10, 4)))),
    "resize nearest": Case(lambda: Resize(scale=2, mode="nearest"), IMAGE, pooled(resized("nearest", scale_factor=2))),
    "resize a sequence": Case(lambda: Resize(scale=0.7), SEQUENCE, pooled(resized("linear", size=6))),
    "max pooling 2d": Case(MaxPooling2D, IMAGE, pooled(F.max_pool2d, 2)),
    "max pooling 2d overlapping": Case(lambda: MaxPooling2D(3, stride=2, padding=1), IMAGE, pooled(F.max_pool2d, 3, 2, 1)),
    "max pooling 2d dilated": Case(lambda: MaxPooling2D((2, 3), 1, dilation=(3, 1)), IMAGE, pooled(F.max_pool2d, (2, 3), 1, 0, (3, 1))),
    "max pooling 1d": Case(lambda: MaxPooling1D(3), SEQUENCE, pooled(F.max_pool1d, 3)),
    "average pooling 2d": Case(AveragePooling2D, IMAGE, pooled(F.avg_pool2d, 2)),
    "average pooling 2d padded": Case(
        lambda: AveragePooling2D(3, 2, padding=1), IMAGE, pooled(F.avg_pool2d, 3, 2, 1, count_include_pad=False)
    ),
    "average pooling 2d counting": Case(lambda: AveragePooling2D(3, 2, 1, count_padding=True), IMAGE, pooled(F.avg_pool2d, 3, 2, 1)),
    "average pooling 1d": Case(lambda: AveragePooling1D(2, padding=1), SEQUENCE, pooled(F.avg_pool1d, 2, 2, 1, count_include_pad=False)),
    "adaptive average pooling 1d": Case(lambda: AdaptiveAveragePooling1D(4), SEQUENCE, pooled(F.adaptive_avg_pool1d, 4)),
    "adaptive average pooling 2d": Case(lambda: AdaptiveAveragePooling2D(1), IMAGE, pooled(F.adaptive_avg_pool2d, 1)),
    "adaptive average pooling 2d of even windows": Case(
        lambda: AdaptiveAveragePooling2D((None, 3)), IMAGE, pooled(F.adaptive_avg_pool2d, (7, 3))
    ),
    "adaptive average pooling 2d of uneven windows": Case(
        lambda: AdaptiveAveragePooling2D((3, 4)), IMAGE, pooled(F.adaptive_avg_pool2d, (3, 4))
    ),
    "adaptive max pooling 1d": Case(lambda: AdaptiveMaxPooling1D(4), SEQUENCE, pooled(F.adaptive_max_pool1d, 4)),
    "adaptive max pooling 2d": Case(lambda: AdaptiveMaxPooling2D((5, 2)), IMAGE, pooled(F.adaptive_max_pool2d, (5, 2))),
    "adaptive max pooling 2d to one": Case(lambda: AdaptiveMaxPooling2D(1), IMAGE, pooled(F.adaptive_max_pool2d, 1)),
    "global average pooling 1d": Case(GlobalAveragePooling1D, SEQUENCE, lambda w, x: x.mean(1)),
    "global average pooling 2d": Case(GlobalAveragePooling2D, IMAGE, lambda w, x: x.mean((1, 2))),
    "global max pooling 1d": Case(GlobalMaxPooling1D, SEQUENCE, lambda w, x: x.amax(1)),
    "global max pooling 2d": Case(lambda: GlobalMaxPooling2D(keepdims=True), IMAGE, lambda w, x: x.amax((1, 2), keepdim=True)),
    "batch normalization": Case(BatchNormalization, IMAGE, batch_normed, wide(IMAGE), (4,), differs_in_eval=True),
    "batch normalization of rows": Case(BatchNormalization, ROW, batch_normed, wide(ROW), differs_in_eval=True),
    "batch normalization without parameters": Case(
        lambda: BatchNormalization(affine=False), SEQUENCE, batch_normed, wide(SEQUENCE), differs_in_eval=True
    ),
    "batch normalization without statistics": Case(lambda: BatchNormalization(track_running_stats=False), IMAGE, batch_normed, wide(IMAGE)),
    "layer norm": Case(LayerNorm, SEQUENCE, layer_normed(1), wide(SEQUENCE), ()),
    "layer norm over two axes": Case(lambda: LayerNorm(2, eps=0.1), IMAGE, layer_normed(2, 0.1), wide(IMAGE), (3,)),
    "layer norm without parameters": Case(lambda: LayerNorm(affine=False), ROW, layer_normed(1), wide(ROW)),
    "dropout": Case(lambda: Dropout(0.5), IMAGE, lambda w, x: x, judged_in_eval=True, differs_in_eval=True),
    "flatten": Case(Flatten, IMAGE, lambda w, x: x.reshape(x.shape[0], -1)),
    "reshape": Case(lambda: Reshape((6, -1)), IMAGE, lambda w, x: x.reshape(x.shape[0], 6, 28)),
    "activation": Case(lambda: Activation("gelu"), ROW, lambda w, x: F.gelu(x)),
    "activation with an option": Case(
        lambda: Activation("leaky_relu", negative_slope=0.2), ROW, lambda w, x: F.leaky_relu(x, 0.2)
    ),
    "identity": Case(Identity, IMAGE, lambda w, x: x),
    "residual": Case(
        lambda: Residual(FullyConnected(6), Activation("tanh")), ROW,
        lambda w, x: torch.relu(torch.tanh(linear(w, x, "/body/layers/0")) + x),
    ),
    "residual with a matrix around": Case(lambda: Residual(FullyConnected(3), shortcut="auto"), ROW, around),
    "residual with a function around": Case(
        lambda: Residual(FullyConnected(6), shortcut=lambda x: 2 * x, activation=None), ROW,
        lambda w, x: linear(w, x, "/body/layers/0") + 2 * x,
    ),
    "residual block": Case(lambda: ResidualBlock(4), IMAGE, residual_block(), unbuildable=SEQUENCE, differs_in_eval=True),
    "residual block with a stride": Case(lambda: ResidualBlock(6, 2), IMAGE, residual_block(2), differs_in_eval=True),
    "embedding": Case(lambda: Embedding(7, 3), ROW, lambda w, x: F.embedding(x, w["/weight"]), classes=7),
    "lambda": Case(lambda: Lambda(lambda x: x * x), ROW, lambda w, x: x * x),
    "sequential": Case(lambda: Sequential(FullyConnected(8), Activation("relu"), FullyConnected(3)), ROW, residual, wide(ROW)),
}  # fmt: skip


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each row of the table."""
    return request.param


@pytest.fixture(params=[c for c in CASES.values() if c.refused], ids=[name for name, c in CASES.items() if c.refused])
def narrow_case(request: pytest.FixtureRequest) -> Case:
    """The rows whose layers are built for a width."""
    return request.param


@pytest.fixture(
    params=[c for c in CASES.values() if c.unbuildable is not None], ids=[n for n, c in CASES.items() if c.unbuildable is not None]
)
def choosy_case(request: pytest.FixtureRequest) -> Case:
    """The rows whose layers cannot be built on every input."""
    return request.param


OWNERS = {
    "test_native_torch.py": "torch", "test_native_torch_layout.py": "torch", "test_native_seeds.py": "torch",
    "test_native_tensorflow.py": "tensorflow", "test_native_nnx.py": "jax", "test_native_equinox.py": "jax",
}  # fmt: skip
"""Files that import a framework when they are collected."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the files of frameworks that were not asked for, so that these are not imported."""
    wanted = [canonical_name(name) for name in config.getoption("--backend")]
    owner = OWNERS.get(collection_path.name)
    return True if wanted and owner is not None and owner not in wanted else None
