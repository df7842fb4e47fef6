"""Flax nnx modules. Their variables lie in cells as ours do, and show each new value, so a trained module is trained for Flax, too.

A call makes a copy of the module around the arrays of now, calls that, and keeps what it wrote: nnx forbids writing to a variable inside
of a trace that it was not made in.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import partial, reduce
from operator import attrgetter
from typing import Any
from weakref import WeakValueDictionary

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError

from babel_dl.backend.contract import Adopted, Native, NativeOptions, NativeTensor, Tree
from babel_dl.backend.dtypes import is_floating
from babel_dl.errors import BackendError
from babel_dl_jax.dtypes import dtype_word
from babel_dl_jax.layout import ranks_to_turn, to_first, to_last
from babel_dl_jax.tracing import Cell, Mirror, constant_if_muted, read, write

_RAW = "_raw_value" if "_raw_value" in nnx.Variable.__slots__ else "raw_value"  # Flax before 0.12 calls it so
_look = attrgetter(_RAW)
_show = nnx.Variable.__dict__[_RAW].__set__
_MODE_NAMES = {"training": True, "train": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""Arguments by which a call is told that it trains, and what they are then."""

_cells: WeakValueDictionary[int, Cell] = WeakValueDictionary()
"""By the id of the nnx variable, which the cell's mirror keeps alive."""


class AdoptedNnx(Adopted):
    """An nnx module.

    Args:
        module: The module.
        options: How to call it.
    """

    def __init__(self, module: nnx.Module, options: NativeOptions) -> None:
        self._module = module
        self._ranks = ranks_to_turn(options.channels_first, ())
        self._training: bool | None = None
        self._structure, state = nnx.split(module)
        self._state: list[tuple[Any, Any]] = list(nnx.to_flat_state(state))
        self._cells = [_cell_of(path, leaf) for path, leaf in self._state]
        self._kinds_of_key = [_kind_of_key(leaf) for _, leaf in self._state]
        self.tensors = [
            NativeTensor(_name(path), cell, isinstance(leaf, nnx.Param) and is_floating(dtype_word(cell.dtype)))
            for (path, leaf), cell in zip(self._state, self._cells, strict=True)
        ]

    @property
    def native(self) -> nnx.Module:
        """The module itself."""
        return self._module

    @property
    def training(self) -> bool:
        """What was set last, True before; nnx keeps it in attributes of single layers."""
        return self._training is not False

    def set_training(self, mode: bool) -> None:
        """`module.train()` or `module.eval()`, of the module itself where nnx lets it change, and of the copy in each call."""
        self._training = mode
        with suppress(TraceContextError):
            _switch(self._module, mode)

    def prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Nothing: its arrays are there from the start."""

    def run(self, part: tuple[str | int, ...], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str | None = None) -> Tree:
        """Calls a copy of the module with the arrays of now, or a part or method of that copy."""
        before = [read(cell) for cell in self._cells]
        given = before
        if dtype is not None:
            given = [value.astype(dtype) if tensor.is_parameter else value for value, tensor in zip(before, self.tensors, strict=True)]
        leaves = [
            (path, _filled(leaf, value, kind)) for (path, leaf), value, kind in zip(self._state, given, self._kinds_of_key, strict=True)
        ]
        copy = nnx.merge(self._structure, nnx.from_flat_state(leaves))
        if self._training is not None:
            _switch(copy, self._training)
        function = reduce(_part, part, copy)
        args, kwargs = to_first((args, kwargs), self._ranks)
        found = function(*args, **self._with_mode(function, kwargs))
        self._keep(copy, given)
        return constant_if_muted(to_last)(found, self._ranks)

    def _keep(self, copy: nnx.Module, given: list[Native]) -> None:
        """Writes to the cells what the copy's variables hold otherwise than before."""
        after = dict(nnx.to_flat_state(nnx.split(copy)[1]))
        for (path, _), cell, before in zip(self._state, self._cells, given, strict=True):
            leaf = after.get(path)
            value = before if leaf is None else _content(leaf)
            if value is not before:
                write(cell, value.astype(cell.dtype))

    def _with_mode(self, function: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """With the mode where the function asks for it and has no default; elsewhere layers know it by their attributes."""
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            return kwargs
        asked = [name for name in _MODE_NAMES if name in parameters and parameters[name].default is inspect.Parameter.empty]
        return {**{name: _MODE_NAMES[name] == self.training for name in asked}, **kwargs}


def adopt_nnx(module: nnx.Module, options: NativeOptions) -> AdoptedNnx:
    """Takes in an nnx module.

    Raises:
        BackendError: An option has no meaning for it, or one of its variables holds something else than an array.
    """
    if options.state is not None or options.per_sample:
        word = "state" if options.state is not None else "per_sample"
        raise BackendError(
            f"NativeModule got {word}=... with a {type(module).__name__}, and an nnx module takes batches and keeps its own state.\n"
            f"  Leave {word} out; it is for Equinox modules."
        )
    return AdoptedNnx(module, options)


def _cell_of(path: Any, leaf: Any) -> Cell:
    """The cell of a variable, the same for all modules that hold the variable; a bare array gets one of its own."""
    if not isinstance(leaf, nnx.Variable):
        return _new_cell(path, leaf)
    known = _cells.get(id(leaf))
    if known is not None and known.mirror is not None and known.mirror.holder is leaf:
        return known
    cell = _cells[id(leaf)] = _new_cell(path, _content(leaf))
    kind = _kind_of_key(leaf)
    cell.mirror = Mirror(leaf, _look, _show) if kind is None else Mirror(leaf, _content, partial(_show_key, kind))
    cell.trainable = isinstance(leaf, nnx.Param) and is_floating(dtype_word(cell.dtype))
    return cell


def _new_cell(path: Any, value: Any) -> Cell:
    if not isinstance(value, (jax.Array, np.ndarray)):
        raise BackendError(
            f"The nnx variable {_name(path)!r} holds a {type(value).__name__} and not an array, so it cannot be one of our variables.\n"
            "  Keep each array in a variable of its own, e.g. in an nnx.Dict of nnx.Param."
        )
    array = value if isinstance(value, jax.Array) else jax.device_put(value)
    return Cell(array, array.dtype, False, _name(path))


def _switch(module: nnx.Module, training: bool) -> None:
    if training:
        module.train()
    else:
        module.eval()


def _kind_of_key(leaf: Any) -> Any:
    """How the random key in a variable is made of its words; None where there is no key."""
    value = _look(leaf) if isinstance(leaf, nnx.Variable) else leaf
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return jax.random.key_impl(value) if is_key else None


def _content(leaf: Any) -> Any:
    """The array in a variable; of a random key its words, which can be saved."""
    value = _look(leaf) if isinstance(leaf, nnx.Variable) else leaf
    return value if _kind_of_key(leaf) is None else jax.random.key_data(value)


def _show_key(kind: Any, variable: Any, words: Native | None) -> None:
    _show(variable, None if words is None else jax.random.wrap_key_data(words, impl=kind))


def _filled(leaf: Any, value: Native, kind: Any) -> Any:
    """A variable like this one around another array."""
    if not isinstance(leaf, nnx.Variable):
        return value
    return leaf.replace(value if kind is None else jax.random.wrap_key_data(value, impl=kind))


def _name(path: Any) -> str:
    return "".join(f"/{step}" for step in path)


def _part(module: Any, name: str | int) -> Any:
    return getattr(module, name) if isinstance(name, str) else module[name]
