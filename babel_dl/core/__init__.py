"""What carries the three parts of a project: variables, modules, gradients, compilation, random streams, configuration, logging."""

from babel_dl.core import logging
from babel_dl.core.building import TensorSpec
from babel_dl.core.building import run_only_once as RunOnlyOnce
from babel_dl.core.compilation import compile
from babel_dl.core.config import Config
from babel_dl.core.gradients import grad, trainable_variables, value_and_grad
from babel_dl.core.logged import collect_logged, log_value
from babel_dl.core.module import Module
from babel_dl.core.native.module import NativeModule
from babel_dl.core.prediction import evaluation_mode
from babel_dl.core.random import current_seed, host_generator, set_seed, use_seed
from babel_dl.core.random_stream import RandomStream
from babel_dl.core.variable import Variable
from babel_dl.ops.tensor import ITensor, Tensor

__all__ = [
    "Config", "ITensor", "Module", "NativeModule", "RandomStream", "RunOnlyOnce", "Tensor", "TensorSpec", "Variable", "collect_logged",
    "compile", "current_seed", "evaluation_mode", "grad", "host_generator", "log_value", "logging", "set_seed", "trainable_variables",
    "use_seed", "value_and_grad",
]
