"""PyTorch modules taken in as they are. Their parameters and buffers are the variables: no copy stands between the two.

A parameter is read where the module keeps it and written in place, so the module, its `state_dict` and a PyTorch optimizer see every
change, and we see theirs. Pictures come in channels last; the module gets a view of the same memory with the channels in the second place.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.loss import _Loss
from torch.nn.parameter import is_lazy

from babel_dl.backend.contract import Adopted, NativeModules, NativeOptions, NativeTensor, Tree
from babel_dl.errors import BackendError
from babel_dl_torch.creation import place_in_force
from babel_dl_torch.dtypes import to_torch
from babel_dl_torch.exporting import export
from babel_dl_torch.layout import Layout
from babel_dl_torch.state import Cell, SharedCell, cells_by_tensor, is_undone, undone
from babel_dl_torch.tracing import is_tracing
from babel_dl_torch.trees import map_tree, tensors_in

_WRAPPER = "_orig_mod."
"""What `torch.compile` puts before the names of the module that it wraps."""


class AdoptedModule(Adopted):
    """An `nn.Module`.

    Args:
        module: The module.
        layout: How tensors are turned on the way in and out.
        tensors: Its parameters and buffers.
    """

    def __init__(self, module: nn.Module, layout: Layout, tensors: list[NativeTensor]) -> None:
        self._module = module
        self._layout = layout
        self.tensors = tensors
        self._has_buffers = any(True for _ in module.buffers())

    @property
    def native(self) -> nn.Module:
        """The module itself."""
        return self._module

    @property
    def training(self) -> bool:
        """`module.training`."""
        return self._module.training

    def set_training(self, mode: bool) -> None:
        """`module.train(mode)`, where that changes anything: a module that was switched apart from the whole stays so in between."""
        if self._module.training != mode:
            self._module.train(mode)

    def prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Tries whether the module takes views of pictures: one that asks for `x.view(...)` of its own results cannot.

        What else goes wrong is left to the first real call: there it is told from where it happens.
        """
        if not self._layout.has_choice(args, kwargs) or torch.compiler.is_compiling():
            return
        samples = map_tree(_first_sample_twice, (args, kwargs))
        with _without_trace(self._module):
            try:
                self._layout.call(self._module, *samples)
            except Exception as error:
                self._layout.make_dense = "view size is not compatible" in str(error)

    def run(self, part: tuple[str | int, ...], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str | None = None) -> Tree:
        """Calls the module, or a part or method of it; in a narrow type under `torch.autocast`.

        Raises:
            Exception: What the module raises; where tensors were turned for it, a note says so.
        """
        if dtype is not None:
            device = next((tensor.device.type for tensor in tensors_in((args, kwargs))), "cpu")
            with torch.autocast(device, to_torch(dtype)):
                return self.run(part, args, kwargs)
        if isinstance(self._module, _Loss):  # whole numbers have 32 bits here, and PyTorch's losses want labels of 64
            args, kwargs = map_tree(_as_labels, args), map_tree(_as_labels, kwargs)
        function = reduce(_part, part, self._module) if part else self._module
        if is_undone():
            with _without_trace(self._module):
                return self._layout.call(function, args, kwargs)
        if self._has_buffers and is_tracing() and not torch.compiler.is_compiling():
            with _in_place(self._module):
                return self._layout.call(function, args, kwargs)
        return self._layout.call(function, args, kwargs)


class TorchNativeModules(NativeModules):
    """`nn.Module` in and out."""

    def adopt(
        self, module: nn.Module, options: NativeOptions, examples: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    ) -> Adopted | None:
        """An `nn.Module`, lazy ones after their first call. It is moved to the device in force if all of it lies on the CPU.

        Raises:
            BackendError: An option has no meaning for PyTorch.
        """
        if options.state is not None or options.per_sample:
            word = "state" if options.state is not None else "per_sample"
            raise BackendError(
                f"NativeModule got {word}=... with a {type(module).__name__}, and a PyTorch module takes batches and keeps its own state.\n"
                f"  Leave {word} out; it is for Equinox modules."
            )
        layout = Layout(options.channels_first)
        if any(is_lazy(tensor) for tensor in _tensors_of(module)):
            if examples is None:
                return None
            with _without_trace(module):
                layout.call(module, *examples)
        _move(module, place_in_force(self))
        return AdoptedModule(module, layout, _adopt_tensors(module))

    def native_signature(self, module: nn.Module) -> inspect.Signature:
        """That of `forward`."""
        return inspect.signature(module.forward)

    def is_trainable(self, storage: Cell) -> bool:
        """`requires_grad`."""
        return storage.tensor.requires_grad

    def export(self, module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor], natives: Any) -> nn.Module:
        """An `nn.Module`; see `exporting.py`."""
        return export(module, run, tensors, natives)

    def random_state(self) -> np.ndarray:
        """The CPU's generator, then that of the current GPU if PyTorch has started one: dropout of native modules draws from them."""
        return np.concatenate([state.numpy() for state in _generator_states()])

    def set_random_state(self, state: np.ndarray) -> None:
        """Puts the generators back; a GPU's state is left out where there is no GPU, and missing where there was none."""
        states, rest = [], torch.from_numpy(np.array(state, np.uint8))
        for current in _generator_states():
            states.append(rest[: len(current)] if len(rest) >= len(current) else current)
            rest = rest[len(current) :]
        _set_generator_states(states)


def _adopt_tensors(module: nn.Module) -> list[NativeTensor]:
    """Every parameter and buffer once, by its place; a tensor that has a cell already keeps it."""
    known = cells_by_tensor()
    found: list[NativeTensor] = []
    seen: set[int] = set()
    for prefix, owner in module.named_modules():
        for table, is_parameter in ((owner._parameters, True), (owner._buffers, False)):
            for name, tensor in table.items():
                if tensor is None or id(tensor) in seen:
                    continue
                seen.add(id(tensor))
                cell = known.get(id(tensor)) or SharedCell(table, name)
                path = f"{prefix}.{name}".removeprefix(".").replace(_WRAPPER, "")
                can_learn = is_parameter and tensor.is_floating_point()
                found.append(NativeTensor("/" + path.replace(".", "/"), cell, can_learn))
    return found


def _as_labels(leaf: Any) -> Any:
    return leaf.long() if isinstance(leaf, Tensor) and leaf.dtype == torch.int32 else leaf


def _first_sample_twice(leaf: Any) -> Any:
    return torch.cat([leaf[:1], leaf[:1]]) if isinstance(leaf, Tensor) and leaf.ndim else leaf  # with one sample, more views are possible


def _tensors_of(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _move(module: nn.Module, device: str) -> None:
    if device != "cpu" and all(tensor.device.type == "cpu" for tensor in _tensors_of(module)):
        module.to(device)


@contextmanager
def _without_trace(module: nn.Module) -> Iterator[None]:
    """While it is open the module only shows what it would return; batch norm in evaluation, for it refuses to train on one value.

    What the block did to buffers, to our variables and to the generators is taken back afterwards.
    """
    modes = [(part, part.training) for part in module.modules() if isinstance(part, _BatchNorm)]
    kept = [(part._buffers, name, buffer, buffer.clone()) for part, name, buffer in _buffers_of(module)]
    states = _generator_states()
    try:
        for part, _ in modes:
            part.training = False
        with torch.no_grad(), undone():
            yield
    finally:
        _set_generator_states(states)
        for part, mode in modes:
            part.training = mode
        with torch.no_grad():
            for table, name, buffer, value in kept:
                buffer.copy_(value)
                table[name] = buffer


@contextmanager
def _in_place(module: nn.Module) -> Iterator[None]:
    """Buffers that the module replaces by new ones while a graph is recorded are written to instead: a graph cannot replace objects."""
    before = [(part._buffers, name, buffer) for part, name, buffer in _buffers_of(module)]
    yield
    with torch.no_grad():
        for table, name, buffer in before:
            new = table[name]
            if new is not None and new is not buffer:
                buffer.copy_(new)
                table[name] = buffer


def _buffers_of(module: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    for part in module.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None and not is_lazy(buffer):
                yield part, name, buffer


def _generator_states() -> list[Tensor]:
    has_gpu = torch.cuda.is_initialized()
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if has_gpu else [])]


def _set_generator_states(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1])


def _part(module: Any, name: str | int) -> Any:
    return getattr(module, name) if isinstance(name, str) else module[name]
