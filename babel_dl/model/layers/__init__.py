"""The layers, one family in a file. All are channels last, and are built at their first call."""

from babel_dl.model.layers.activation import Activation
from babel_dl.model.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
)
from babel_dl.model.layers.batch_normalization import BatchNormalization
from babel_dl.model.layers.convolution import Conv1D, Conv2D
from babel_dl.model.layers.dropout import Dropout
from babel_dl.model.layers.embedding import Embedding
from babel_dl.model.layers.flatten import Flatten, Reshape
from babel_dl.model.layers.fully_connected import FullyConnected
from babel_dl.model.layers.layer_normalization import LayerNorm
from babel_dl.model.layers.merging import Add, Concat, Split, Stack
from babel_dl.model.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from babel_dl.model.layers.residual import Identity, Residual, ResidualBlock
from babel_dl.model.layers.resizing import Resize, UpsampleConv2D
from babel_dl.model.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose
from babel_dl.model.layers.wrapping import Lambda, Sequential

__all__ = [
    "Activation", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "Add",
    "AveragePooling1D", "AveragePooling2D", "BatchNormalization", "Concat", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose",
    "Dropout", "Embedding", "Flatten", "FullyConnected", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "Identity", "Lambda", "LayerNorm", "MaxPooling1D", "MaxPooling2D", "Reshape", "Residual", "ResidualBlock",
    "Resize", "Sequential", "Split", "Stack", "UpsampleConv2D",
]
