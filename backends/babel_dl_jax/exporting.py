"""Our modules as JAX likes them: a pure function of parameters, statistics and inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from babel_dl.backend.contract import Native, NativeTensor, Tree
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl_jax.tracing import Cell, Frame, read

Values = Mapping[str, Native]


class JaxFunction:
    """One of our modules as a pure function, for `jax.grad`, `jax.jit`, `jax.vmap` and optimizers of Optax.

        fn, params = model.to_native()
        y = fn(params, x)                                    statistics that the module keeps are those of now, and are not changed
        y, state = fn.apply(params, fn.state, x)             they come in and go out
        model.load_state_dict({**params, **state})           what was learnt, back in the module

    Args:
        module: Ours; kept as `babel_module`.
        run: Calls it.
        tensors: Its variables by path.
    """

    def __init__(self, module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor]) -> None:
        self.babel_module = module
        self._run = run
        self._params: dict[str, Cell] = {tensor.name: tensor.storage for tensor in tensors if tensor.is_parameter}
        self._state: dict[str, Cell] = {tensor.name: tensor.storage for tensor in tensors if not tensor.is_parameter}

    @property
    def params(self) -> dict[str, Native]:
        """The parameters of now, by path. Frozen ones are among them: leave these out of what is differentiated."""
        return {name: read(cell) for name, cell in self._params.items()}

    @property
    def state(self) -> dict[str, Native]:
        """Running statistics, counters and random states of now, by path."""
        return {name: read(cell) for name, cell in self._state.items()}

    def __iter__(self) -> Iterator[Any]:
        return iter((self, self.params))

    def __call__(self, params: Values, *args: Any, training: bool | None = None, **kwargs: Any) -> Tree:
        """The module's result.

        Args:
            params: By path, as `params`.
            args: As the module takes them.
            training: The mode for this call; None for the one that the module is in.
            kwargs: By name.

        Raises:
            ArgumentError: A parameter is missing or unknown.
        """
        return self.apply(params, self.state, *args, training=training, **kwargs)[0]

    def apply(
        self, params: Values, state: Values, *args: Any, training: bool | None = None, **kwargs: Any
    ) -> tuple[Tree, dict[str, Native]]:
        """The module's result, and what became of its statistics, counters and random states.

        Args:
            params: By path, as `params`.
            state: By path, as `state`.
            args: As the module takes them.
            training: The mode for this call; None for the one that the module is in.
            kwargs: By name.

        Raises:
            ArgumentError: A parameter or a part of the state is missing or unknown.
        """
        _check("parameter", params, self._params)
        _check("state", state, self._state)
        with Frame() as frame:
            for cells, values in ((self._params, params), (self._state, state)):
                for name, cell in cells.items():
                    frame.swap(cell, values[name])
            result = self._run(args, kwargs, training)
            return result, {name: cell.value for name, cell in self._state.items()}


def _check(what: str, given: Values, known: Mapping[str, Cell]) -> None:
    unknown, missing = given.keys() - known.keys(), known.keys() - given.keys()
    if unknown:
        name = min(unknown)
        raise ArgumentError(f"The module has no {what} {name!r}.{did_you_mean(name, known)}")
    if missing:
        raise ArgumentError(f"The {what} {min(missing)!r} is missing. Pass all that fn.{'params' if what == 'parameter' else 'state'} has.")
