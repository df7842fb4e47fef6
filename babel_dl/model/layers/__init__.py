"""The layers, one family in a file. All are channels last, and are built at their first call."""

from babel_dl.model.layers.activation import Activation
from babel_dl.model.layers.batch_normalization import BatchNormalization
from babel_dl.model.layers.convolution import Conv1D, Conv2D
from babel_dl.model.layers.dropout import Dropout
from babel_dl.model.layers.embedding import Embedding
from babel_dl.model.layers.flatten import Flatten, Reshape
from babel_dl.model.layers.fully_connected import FullyConnected
from babel_dl.model.layers.layer_normalization import LayerNorm
from babel_dl.model.layers.merging import Add, Concat, Stack
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
from babel_dl.model.layers.wrapping import Lambda, Sequential

__all__ = [
    "Activation", "Add", "AveragePooling1D", "AveragePooling2D", "BatchNormalization", "Concat", "Conv1D", "Conv2D", "Dropout",
    "Embedding", "Flatten", "FullyConnected", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "Lambda", "LayerNorm", "MaxPooling1D", "MaxPooling2D", "Reshape", "Sequential", "Stack",
]
