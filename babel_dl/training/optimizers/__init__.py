"""Optimizers and learning-rate schedules."""

from babel_dl.core.registry import register_optimizer
from babel_dl.training.optimizers import learning_rates
from babel_dl.training.optimizers.adam import Adam, AdamW
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.optimizers.clipping import clip_by_global_norm, clip_by_value, global_norm
from babel_dl.training.optimizers.rmsprop import RMSprop
from babel_dl.training.optimizers.sgd import SGD

__all__ = [
    "SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_by_global_norm", "clip_by_value", "global_norm", "learning_rates",
    "register_optimizer",
]
