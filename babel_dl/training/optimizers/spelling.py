"""How other frameworks call an optimizer's arguments, so that a message can say the name that holds here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from babel_dl.errors import ArgumentError, did_you_mean

_ELSEWHERE = {
    "lr": "initial_lr", "learning_rate": "initial_lr", "betas": "beta1=..., beta2", "b1": "beta1", "b2": "beta2", "beta_1": "beta1",
    "beta_2": "beta2", "epsilon": "eps", "rho": "alpha", "decay": "alpha", "clipnorm": "clip_norm", "global_clipnorm": "clip_norm",
    "clipvalue": "clip_value", "max_grad_norm": "clip_norm", "wd": "weight_decay",
}  # fmt: skip


def check_names(optimizer: type, options: Mapping[str, Any]) -> None:
    """Refuses arguments that the constructor of an optimizer does not have.

    Raises:
        ArgumentError: There is one; the name it has here is said.
    """
    known = inspect.signature(optimizer.__init__).parameters if options else {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name in options:
        if name not in known:
            here = _ELSEWHERE.get(name)
            hint = f" It is called {here} here." if here else did_you_mean(name, [other for other in known if other != "self"])
            raise ArgumentError(f"{optimizer.__name__} has no argument {name!r}.{hint}")
