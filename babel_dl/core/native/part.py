"""A part or a method of a native module, to be called by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from babel_dl.backend import native_owner
from babel_dl.core.module import Module
from babel_dl.core.native.variable import NativeVariable
from babel_dl.errors import ArgumentError

if TYPE_CHECKING:
    from babel_dl.core.native.module import NativeModule


class NativePart(Module):
    """A part or a method of a native module, to be called with our tensors. Its variables are those of the whole.

    Args:
        whole: The native module.
        part: The attributes and indices that lead to it.
        value: The part itself.
    """

    def __init__(self, whole: NativeModule, part: tuple[str | int, ...], value: Any) -> None:
        super().__init__()
        self._whole = whole
        self._part = part
        self._value = value
        self.is_built = True

    @property  # type: ignore[override]
    def training(self) -> bool:  # type: ignore[override]
        """That of the whole."""
        return self._whole.training

    @training.setter
    def training(self, mode: bool) -> None:  # type: ignore[override]
        """Switches the whole."""
        self._whole.training = mode

    @property  # type: ignore[override]
    def precision(self) -> str:  # type: ignore[override]
        """That of the whole."""
        return self._whole.precision

    @precision.setter
    def precision(self, name: str | int | None) -> None:  # type: ignore[override]
        """Refuses: a native module computes in one type.

        Raises:
            ArgumentError: Always.
        """
        place = "/".join(map(str, self._part))
        raise ArgumentError(
            f"{place!r} is a part of a native module, which has one precision as a whole. Set it there: model.precision = {name!r}; or "
            f"hold the parts in attributes of a Module of babel_dl, each with its own."
        )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the part returns, with our tensors in the place of natives."""
        return self._whole.run_part(self._part, args, kwargs)

    def native_members(self) -> Iterator[tuple[str, NativeVariable]]:
        """The variables of the part, or of the whole if it is a method."""
        prefix = "".join(f"/{step}" for step in self._part) if native_owner(self._value) is not None else ""
        for name, variable in self._whole.native_members():
            if name.startswith(f"{prefix}/"):
                yield name[len(prefix) :], variable

    def __getattr__(self, name: str) -> Any:
        held = vars(self)
        if name.startswith("__") or "_value" not in held:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return held["_whole"].find_part((*held["_part"], name), getattr(held["_value"], name))

    def __getitem__(self, index: int | str) -> Any:
        return self._whole.find_part((*self._part, index), self._value[index])

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return items_of(self, self._value)


def items_of(module: Any, native: Any) -> Iterator[Any]:
    """The parts of a native list, the names in a native dict.

    Args:
        module: Gives the parts by index.
        native: The native list or dict.
    """
    return iter(native.keys()) if hasattr(native, "keys") else (module[index] for index in range(len(native)))
