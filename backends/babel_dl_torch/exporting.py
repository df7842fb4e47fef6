"""Our modules as PyTorch's own: an `nn.Module` whose parameters and buffers are our variables."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from babel_dl.backend.contract import NativeTensor, Tree
from babel_dl_torch.state import Cell, SharedCell, become_shared


class BabelModule(nn.Module):
    """One of our modules, for PyTorch. It takes and returns tensors as ours does: channels last.

    Parameters and buffers are named as our variables are, with dots: `linear.0.weight`. They lie in one memory with these: what a
    PyTorch optimizer, `load_state_dict` or `functional_call` does to one happens to the other.

    Args:
        module: Ours; kept as `babel_module`.
        run: Calls it.
    """

    def __init__(self, module: Any, run: Callable[..., Tree]) -> None:
        super().__init__()
        self.babel_module = module
        self._run = run
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What our module returns."""
        return self._run(args, kwargs, None)

    def train(self, mode: bool = True) -> BabelModule:
        """Switches our module as well."""
        super().train(mode)
        self.babel_module.train(mode)
        return self

    def extra_repr(self) -> str:
        """The class of our module."""
        return type(self.babel_module).__name__

    def __deepcopy__(self, memo: dict[int, Any]) -> BabelModule:
        twin = copy.deepcopy(self.babel_module, memo).to_native()
        memo[id(self)] = twin
        return twin


def export(module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor], natives: Mapping[str, nn.Module]) -> BabelModule:
    """See `NativeModules.export`. Our variables become shared cells over the result's parameters and buffers."""
    root = BabelModule(module, run)
    for tensor in tensors:
        within = next((path for path in natives if tensor.name.startswith(f"{path}/")), None)
        if within is None:
            _register(*_owner(root, tensor.name), tensor)
        else:
            _add(root, within, natives[within])
    for path, native in natives.items():  # those without tensors
        _add(root, path, native)
    return root


def _add(root: nn.Module, path: str, native: nn.Module) -> None:
    owner, name = _owner(root, path)
    owner._modules[name] = native


def _owner(root: nn.Module, path: str) -> tuple[nn.Module, str]:
    """The module that the last but one word of a path names, made where it is missing, and the last word."""
    *parents, name = path.strip("/").split("/")
    for parent in parents:
        root = root._modules.setdefault(parent, nn.Module())  # type: ignore[assignment]  (add_module refuses names of its own methods)
    return root, name


def _register(owner: nn.Module, name: str, tensor: NativeTensor) -> None:
    cell: Cell = tensor.storage
    leaf = cell.tensor
    table: dict[str, Any] = owner._parameters if tensor.is_parameter else owner._buffers
    if tensor.is_parameter and not isinstance(leaf, nn.Parameter):
        leaf = nn.Parameter(leaf.detach(), requires_grad=leaf.requires_grad)
    table[name] = leaf
    if not isinstance(cell, SharedCell):
        become_shared(cell, table, name)
