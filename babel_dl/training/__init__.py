"""Training: losses, metrics, optimizers, callbacks, checkpoints, and the trainers that bring them together."""

from babel_dl.training import callbacks, checkpoint, losses, metrics, optimizers
from babel_dl.training.averaging import WeightAverage
from babel_dl.training.short_form import FitResult, FitSettings, fit
from babel_dl.training.supervised import SupervisedTrainer
from babel_dl.training.trainer import Trainer

__all__ = [
    "FitResult", "FitSettings", "SupervisedTrainer", "Trainer", "WeightAverage", "callbacks", "checkpoint", "fit", "losses", "metrics",
    "optimizers",
]
