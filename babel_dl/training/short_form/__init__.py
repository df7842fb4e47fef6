"""A training in one call, with everything around it by name."""

from babel_dl.training.short_form.run import FitResult, fit
from babel_dl.training.short_form.settings import FitSettings

__all__ = ["FitResult", "FitSettings", "fit"]
