"""Callbacks: what is told of a training's events."""

from babel_dl.core.registry import register_callback
from babel_dl.training.callbacks.base import HOOKS, Callback
from babel_dl.training.callbacks.checkpoint_callback import CheckpointCallback
from babel_dl.training.callbacks.early_stopping import EarlyStopping
from babel_dl.training.callbacks.history import HistoryCallback
from babel_dl.training.callbacks.learning_rate_callback import LearningRateUpdateCallback
from babel_dl.training.callbacks.log_callback import LogCallback
from babel_dl.training.callbacks.plateau import ReduceLROnPlateau
from babel_dl.training.callbacks.progress_bar import ProgressBar
from babel_dl.training.callbacks.tensorboard_callback import TensorboardCallback
from babel_dl.training.callbacks.weight_averaging import WeightAveragingCallback


def default_callbacks() -> list[Callback]:
    """What a trainer gets if none are given, new ones at each call: a progress bar, log lines, checkpoints and a history."""
    return [ProgressBar(), LogCallback(), CheckpointCallback(), HistoryCallback()]


__all__ = [
    "HOOKS", "Callback", "CheckpointCallback", "EarlyStopping", "HistoryCallback", "LearningRateUpdateCallback", "LogCallback",
    "ProgressBar", "ReduceLROnPlateau", "TensorboardCallback", "WeightAveragingCallback", "default_callbacks",
    "register_callback",
]
