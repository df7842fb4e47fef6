"""Equinox modules. They are immutable trees of arrays: a call puts the arrays of now into the tree, `native` gives the tree of now.

They are written for one sample with the channels first. So they are mapped over the batch, and pictures are turned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import reduce
from typing import Any

import equinox as eqx
import jax
import numpy as np

from babel_dl.backend.contract import Adopted, Native, NativeOptions, NativeTensor, Tree
from babel_dl.backend.dtypes import is_floating
from babel_dl.errors import BackendError
from babel_dl_jax.dtypes import dtype_word
from babel_dl_jax.layout import ranks_to_turn, to_first, to_last
from babel_dl_jax.tracing import Cell, constant_if_muted, read, write
from babel_dl_jax.trees import flatten, rebuild

AXIS_NAME = "batch"
"""What the batch axis is called while a module is mapped over it: the name that `equinox.nn.BatchNorm` is given in Equinox' own texts."""

_COUNTER = "/draws"
"""The name of the counter from which the keys for dropout are made."""


class AdoptedEquinox(Adopted):
    """An Equinox module.

    Args:
        module: The module.
        options: How to call it.
    """

    def __init__(self, module: eqx.Module, options: NativeOptions) -> None:
        arrays, self._static = eqx.partition((module, options.state), eqx.is_array)
        named, self._structure = jax.tree_util.tree_flatten_with_path(arrays)
        names = _names(module, options.state, [leaf for _, leaf in named], [path for path, _ in named])
        self._cells = [_cell(name, leaf) for name, (_, leaf) in zip(names, named, strict=True)]
        self._has_state = options.state is not None
        self._is_mapped = options.per_sample is not False
        self._ranks = ranks_to_turn(options.channels_first, (4, 5))
        self._training: bool | None = None
        self._draw_key = options.draw_key
        self._counter = _cell(_COUNTER, jax.device_put(np.int32(0))) if _draws(module) else None
        self.tensors = [NativeTensor(cell.name, cell, cell.trainable) for cell in [*self._cells, self._counter] if cell is not None]

    @property
    def native(self) -> eqx.Module:
        """The module with the arrays of now."""
        return self._whole([read(cell) for cell in self._cells])[0]

    @property
    def training(self) -> bool:
        """What was set; True before, as with modules of ours."""
        return self._training is not False

    def set_training(self, mode: bool) -> None:
        """Calls set the `inference` flags of all layers from now on, as `equinox.nn.inference_mode` does."""
        self._training = mode

    def prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Nothing: its arrays are there from the start."""

    def run(self, part: tuple[str | int, ...], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str | None = None) -> Tree:
        """Calls the module with the arrays of now, or a part or method of it."""
        values = [read(cell) for cell in self._cells]
        given = values
        if dtype is not None:
            given = [value.astype(dtype) if cell.trainable else value for value, cell in zip(values, self._cells, strict=True)]
        module, state = self._whole(given)
        function = reduce(_part, part, module)
        is_stateful = self._has_state and "state" in _parameters(function)
        args, kwargs = to_first((args, kwargs), self._ranks)
        key = self._next_key(function, kwargs)
        call = self._mapped(function) if self._is_mapped else _call
        found = call(function, args, kwargs, key, (state,) if is_stateful else ())
        if is_stateful:
            found, state = found
            self._keep(module, state)
        return constant_if_muted(to_last)(found, self._ranks)

    def _whole(self, values: list[Native]) -> tuple[Any, Any]:
        arrays = jax.tree_util.tree_unflatten(self._structure, values)
        module, state = eqx.combine(arrays, self._static)
        return (module if self._training is None else eqx.nn.inference_mode(module, value=not self._training)), state

    def _mapped(self, function: Any) -> Callable[..., Any]:
        def call(function: Any, args: Any, kwargs: Any, key: Any, state: tuple[Any, ...]) -> Any:
            leaves: list[Native] = []
            structure = flatten((args, kwargs), leaves)
            axes = [0 if leaf.ndim else None for leaf in leaves]
            keys = None if key is None else jax.random.split(key, next(leaf.shape[0] for leaf in leaves if leaf.ndim))

            def one(sample: list[Native], key: Any, state: tuple[Any, ...]) -> Any:
                own_args, own_kwargs = rebuild(structure, iter(sample))
                return _call(function, own_args, own_kwargs, key, state)

            run = jax.vmap(
                one,
                in_axes=(axes, None if key is None else 0, None),
                out_axes=(0, None) if state else 0,
                axis_name=AXIS_NAME,
            )
            return run(leaves, keys, state)

        return call

    def _next_key(self, function: Any, kwargs: dict[str, Any]) -> Any:
        """A key for this call, where the function takes one and the caller gives none."""
        parameter = _parameters(function).get("key")
        if self._counter is None or parameter is None or "key" in kwargs:
            return None
        if parameter.default is not inspect.Parameter.empty and not self.training:
            return None
        count = read(self._counter)
        write(self._counter, count + 1)
        return jax.random.fold_in(jax.random.key(self._draw_key() % 2**32), count)

    def _keep(self, module: Any, state: Any) -> None:
        after = jax.tree_util.tree_leaves(eqx.filter((module, state), eqx.is_array))
        first = len(after) - len(jax.tree_util.tree_leaves(eqx.filter(state, eqx.is_array)))
        for cell, value in zip(self._cells[first:], after[first:], strict=True):
            write(cell, value.astype(cell.dtype))


def adopt_equinox(module: eqx.Module, options: NativeOptions) -> AdoptedEquinox:
    """Takes in an Equinox module.

    Raises:
        BackendError: It has layers with state, and its state did not come with it.
    """
    indices = [leaf for leaf in _leaves(module, eqx.nn.StateIndex) if isinstance(leaf, eqx.nn.StateIndex)]
    if indices and options.state is None:
        raise BackendError(
            f"{type(module).__name__} has layers that keep state (such as BatchNorm), and Equinox keeps that state apart from the module.\n"
            f"  Make both, and hand both over: NativeModule(*eqx.nn.make_with_state({type(module).__name__})(...))."
        )
    return AdoptedEquinox(module, options)


def _call(function: Any, args: Any, kwargs: Any, key: Any, state: tuple[Any, ...]) -> Any:
    named = kwargs if key is None else {**kwargs, "key": key}
    return function(*args, *state, **named)


def _cell(name: str, leaf: Any) -> Cell:
    array = leaf if isinstance(leaf, jax.Array) else jax.device_put(leaf)
    can_learn = is_floating(dtype_word(array.dtype)) and not name.startswith("/state/") and name != _COUNTER
    return Cell(array, array.dtype, can_learn, name)


def _draws(module: Any) -> bool:
    """Whether calls need keys: the module asks for one, or has dropout inside that does."""
    parameter = _parameters(module).get("key")
    if parameter is None:
        return False
    is_random = any(isinstance(leaf, eqx.nn.Dropout) for leaf in _leaves(module, eqx.nn.Dropout))
    return is_random or parameter.default is inspect.Parameter.empty


def _leaves(module: Any, kind: type) -> list[Any]:
    return jax.tree_util.tree_leaves(module, is_leaf=lambda node: isinstance(node, kind))


def _names(module: Any, state: Any, leaves: list[Any], paths: list[Any]) -> list[str]:
    """The place of each array: in the module by attributes, in the state by the attribute of the layer that it belongs to."""
    owners: dict[int, str] = {}
    if state is not None:
        indices, _ = jax.tree_util.tree_flatten_with_path(module, is_leaf=lambda node: isinstance(node, eqx.nn.StateIndex))
        for path, index in indices:
            if isinstance(index, eqx.nn.StateIndex):
                inner, _ = jax.tree_util.tree_flatten_with_path(state.get(index))
                owners.update({id(leaf): f"/state{_spelt(path)}{_spelt(place)}" for place, leaf in inner})
    return [
        _spelt(path[1:]) if path[0].idx == 0 else owners.get(id(leaf), f"/state{_spelt(path[1:])}")
        for leaf, path in zip(leaves, paths, strict=True)
    ]


def _spelt(path: Any) -> str:
    return "".join(f"/{getattr(key, 'name', getattr(key, 'key', getattr(key, 'idx', None)))}" for key in path)


def _parameters(function: Any) -> Any:
    return inspect.signature(function if inspect.ismethod(function) else function.__call__).parameters


def _part(module: Any, name: str | int) -> Any:
    return getattr(module, name) if isinstance(name, str) else module[name]
