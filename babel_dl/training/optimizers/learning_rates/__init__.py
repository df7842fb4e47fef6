"""Learning rates as pure functions of the training step. They need no framework, so a configuration can hold them."""

from babel_dl.core.registry import register_schedule
from babel_dl.training.optimizers.learning_rates.decay import Const, Cosine, Exponential, StepDecay
from babel_dl.training.optimizers.learning_rates.linear_warm_up import LinearWarmUp
from babel_dl.training.optimizers.learning_rates.one_cycle import OneCycle
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule, register

__all__ = [
    "Const", "Cosine", "Exponential", "LearningRateSchedule", "LinearWarmUp", "OneCycle", "StepDecay", "register", "register_schedule",
]
