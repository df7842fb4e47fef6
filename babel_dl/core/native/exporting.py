"""The way back: one of our modules as the framework's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from babel_dl.backend.contract import NativeTensor
from babel_dl.core.native.module import NativeModule
from babel_dl.errors import BuildError
from babel_dl.ops.dispatch import unwrap

if TYPE_CHECKING:
    from babel_dl.core.module import Module


class _Twin:
    """Keeps what a module was exported as, without being found among its parts. The copy of a module is exported anew.

    Args:
        native: What the backend made.
        tensors: Of what.
    """

    def __init__(self, native: Any, tensors: list[NativeTensor]) -> None:
        self.native = native
        self.tensors = tensors

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None


def to_native(module: Module) -> Any:
    """See `Module.to_native`.

    Raises:
        BuildError: The module or a part of it is not built.
        BackendError: The backend has no modules of its own.
    """
    unbuilt = [path or "/" for path, part in module.modules.items() if not part.is_built]
    if unbuilt:
        raise BuildError(
            f"to_native() needs the variables of {type(module).__name__}, and these parts are not built: {', '.join(unbuilt)}.\n"
            f"  Build it first: model.build_from(TensorSpec(shape)), model.initialize(dataset), or one call."
        )
    tensors = [NativeTensor(path, variable.storage, variable.is_parameter) for path, variable in module.named_variables.items()]
    known = vars(module).get("_twin")
    if known is None or [(t.name, id(t.storage)) for t in known.tensors] != [(t.name, id(t.storage)) for t in tensors]:
        known = vars(module)["_twin"] = _Twin(_export(module, tensors), tensors)
    return known.native


def _export(module: Module, tensors: list[NativeTensor]) -> Any:
    natives = {path: part for path, part in module.modules.items() if path and isinstance(part, NativeModule)}

    def run(args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        if training is None or training == module.training:
            return unwrap(module(*args, **kwargs))
        with _mode(module, training):
            return unwrap(module(*args, **kwargs))

    return module.backend.export(module, run, tensors, {path: part.native for path, part in natives.items()})


@contextmanager
def _mode(module: Module, training: bool) -> Iterator[None]:
    """Switches a module and all below it, and back to what each was."""
    before = [(part, part.training) for part in module.modules.values()]
    module.train(training)
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
