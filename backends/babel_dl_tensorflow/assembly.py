"""The TensorFlow backend, put together from its families."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, final

from babel_dl.backend import Backend
from babel_dl_tensorflow.creation import TensorFlowCreation, TensorFlowDevices
from babel_dl_tensorflow.datasets import TensorFlowDatasets
from babel_dl_tensorflow.elementwise import TensorFlowElementwise
from babel_dl_tensorflow.kernels import adam, sgd
from babel_dl_tensorflow.native_modules import TensorFlowNativeModules
from babel_dl_tensorflow.neural import TensorFlowNeural
from babel_dl_tensorflow.reduction import TensorFlowReduction
from babel_dl_tensorflow.shape import TensorFlowShape
from babel_dl_tensorflow.state import TensorFlowState
from babel_dl_tensorflow.transforms import TensorFlowTransforms


@final
class TensorFlowBackend(
    TensorFlowCreation,
    TensorFlowDevices,
    TensorFlowElementwise,
    TensorFlowShape,
    TensorFlowReduction,
    TensorFlowNeural,
    TensorFlowState,
    TensorFlowTransforms,
    TensorFlowDatasets,
    TensorFlowNativeModules,
    Backend,
):
    """Tensors are `tf.Tensor`, variables `tf.Variable`, and `compile` is a traced graph, with XLA on request."""

    name: ClassVar[str] = "tensorflow"
    kernels: ClassVar[Mapping[str, Callable[..., Any]]] = MappingProxyType({"sgd": sgd, "adam": adam})
