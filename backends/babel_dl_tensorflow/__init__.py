"""The TensorFlow plug-in. Importing it imports no framework: `backend.load` does."""

import os

from babel_dl.backend import Backend, Plugin

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def _load() -> Backend:
    # TensorFlow reads it while it is imported; 2 keeps errors and hides the start-up notes on CPU features.
    os.environ.setdefault(LOG_LEVEL, "2")
    from babel_dl_tensorflow.assembly import TensorFlowBackend

    return TensorFlowBackend()


backend = Plugin(
    name="tensorflow",
    framework="TensorFlow",
    module="tensorflow",
    install="babel_dl[tensorflow]",
    load=_load,
    module_classes=("keras.Layer", "tensorflow.Module"),
)

__all__ = ["backend"]
