"""Mixed precision: the type in which a module computes, while its variables stay what they are.

A policy is "float32", "bfloat16" or "float16". It belongs to a module and to all below it that do not say otherwise. While a module with
a narrow policy runs, floating inputs are cast to that type, and parameters when they are read; where the policy changes on the way out,
results become float32. Gradients pass back through the casts, so they arrive in the type of the variables.

A module finds its policy in this order: what it says itself; what the module above said, noted when that said it or was built; what is
in force where it is called.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from babel_dl.backend import Backend
from babel_dl.backend.dtypes import FLOATS
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.ops import tree
from babel_dl.ops.tensor import Tensor, TensorLike

if TYPE_CHECKING:
    from babel_dl.core.module import Module

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
FLOAT16 = "float16"

POLICIES = {
    FLOAT32: FLOAT32, "32": FLOAT32, "32-true": FLOAT32, "fp32": FLOAT32, "full": FLOAT32, "no": FLOAT32,
    BFLOAT16: BFLOAT16, "bf16": BFLOAT16, "bf16-mixed": BFLOAT16, "mixed_bfloat16": BFLOAT16,
    FLOAT16: FLOAT16, "16": FLOAT16, "fp16": FLOAT16, "16-mixed": FLOAT16, "fp16-mixed": FLOAT16, "mixed_float16": FLOAT16,
}  # fmt: skip
"""The policies by all the names they go by in this field."""

_TO_NARROW = {BFLOAT16: frozenset(FLOATS) - {BFLOAT16}, FLOAT16: frozenset(FLOATS) - {FLOAT16}}
_TO_FLOAT32 = frozenset((BFLOAT16, FLOAT16))

in_use = False
"""Whether any module has ever got a narrow policy. While none has, this is all that calls and reads look at."""

revision = 0
"""Counts the changes of policies, for those who keep what was compiled under an old one."""


class _Local(threading.local):
    """The policy that is in force in this thread. No context variable, because `torch.compile` cannot look into those."""

    policy = FLOAT32


_local = _Local()


def find_precision(name: str | int) -> str:
    """The policy for any of its names.

    Raises:
        ArgumentError: There is no such policy.
    """
    found = POLICIES.get(str(name).lower()) if isinstance(name, (str, int)) else None
    if found is None:
        hint = did_you_mean(name, POLICIES) if isinstance(name, str) else ""
        raise ArgumentError(
            f"There is no precision {name!r}.{hint}\n"
            f'  `precision` says in which type a module computes: "float32", "bfloat16" or "float16". Variables are float32 with each.'
        )
    return found


def compute_dtype() -> str:
    """The type in which the module that runs computes: for tensors that a module makes itself. Outside of modules float32.

    Example:
        >>> compute_dtype()
        'float32'
    """
    return _local.policy


# -------------------------------------------------------------------- who has which policy


def set_precision(module: Module, name: str | int | None) -> None:
    """What a module says from now on; None for nothing, so that it computes as the module above it.

    Raises:
        ArgumentError: There is no such policy.
    """
    _change(module, "_precision", None if name is None else find_precision(name))


def set_by_path(modules: Mapping[str, Module], name: str | int | None, pattern: str) -> None:
    """Does `set_precision` for the modules whose path fits a pattern; of those within one another for the outermost.

    Args:
        modules: By path.
        name: A policy, or None.
        pattern: With `*` and `?`.

    Raises:
        ArgumentError: There is no such policy, or no path fits.
    """
    fitting = [path for path in modules if fnmatch.fnmatchcase(path, pattern)]
    if not fitting:
        has_native = any(hasattr(type(module), "native_members") for module in modules.values())
        hint = " A native module has one precision as a whole." if has_native else ""
        raise ArgumentError(f"No module's path fits {pattern!r}. Paths: {', '.join(map(repr, modules))}.{hint}")
    for path in fitting:
        if not any(path.startswith(f"{other}/") for other in fitting):
            set_precision(modules[path], name)


def inherit_precision(modules: Iterable[Module], name: str | int) -> None:
    """Gives a policy to modules and all below them that do not say otherwise, as a module above them would. Trainers call it.

    Raises:
        ArgumentError: There is no such policy.
    """
    policy = find_precision(name)
    for module in modules:
        vars(module)["_precision_is_lent"] = True
        _change(module, "_inherited_precision", policy)


def release_precision(modules: Iterable[Module]) -> None:
    """Takes back what `inherit_precision` gave: the next trainer of a model may compute in float32."""
    for module in modules:
        if vars(module).pop("_precision_is_lent", False):
            _change(module, "_inherited_precision", None)


def settle(module: Module) -> None:
    """Notes, when a module was built, the policy it was built under, and passes it on to what `build` made."""
    if _policy_of(module) is None:
        if _local.policy == FLOAT32:
            return
        vars(module)["_inherited_precision"] = _local.policy
    _pass_on(module)


def policies_of(modules: Iterable[Module]) -> tuple[str, ...]:
    """The policies of modules and of all below them, to compare with those of another time; empty while none was ever narrow."""
    return tuple([inner.precision for module in modules for inner in module.modules.values()]) if in_use else ()


def uses_float16(modules: Iterable[Module]) -> bool:
    """Whether one of these modules, or one below, computes in float16, whose gradients want a scale."""
    return FLOAT16 in policies_of(modules)


def _policy_of(module: Module) -> str | None:
    return module._precision or module._inherited_precision


def _change(module: Module, note: str, policy: str | None) -> None:
    global in_use, revision
    before = module.precision
    vars(module)[note] = policy
    _pass_on(module)
    in_use = in_use or policy in _TO_NARROW
    revision += before != module.precision


def _pass_on(module: Module) -> None:
    from babel_dl.core.structure import members  # here, because variables ask this file how they are read

    policy, seen, stack = _policy_of(module), {id(module)}, [module]
    while stack:
        for _, member in members(stack.pop()):
            if id(member) in seen or isinstance(member, TensorLike):
                continue
            seen.add(id(member))
            vars(member)["_inherited_precision"] = policy
            if member._precision is None:
                stack.append(member)


# -------------------------------------------------------------------- what happens in a call


def run(module: Module, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a module's function under the module's policy.

    Args:
        module: Whose policy.
        function: Takes the arguments.
        args: Tensors are cast, in any nest; whole numbers, bools and variables are not.
        kwargs: The same by name.

    Returns:
        What the function returned; in float32 where the policy around is another one.
    """
    outer = _local.policy
    policy = _policy_of(module) or outer
    if policy == outer == FLOAT32:
        return function(*args, **kwargs)
    unwanted = _TO_NARROW.get(policy, _TO_FLOAT32)
    args = tuple([_cast(value, unwanted, policy) for value in args])
    kwargs = {name: _cast(value, unwanted, policy) for name, value in kwargs.items()}
    if policy == outer:
        return function(*args, **kwargs)
    _local.policy = policy
    try:
        result = function(*args, **kwargs)
    finally:
        _local.policy = outer
    return _cast(result, _TO_FLOAT32, FLOAT32)


def narrowed(native: Any, backend: Backend) -> Any:
    """A parameter's value in the type in which the module that runs computes."""
    policy = _local.policy
    return native if policy == FLOAT32 else backend.astype(native, policy)


def type_of_parameter(dtype: str) -> str:
    """The type of `narrowed` for a variable of this type."""
    return dtype if _local.policy == FLOAT32 else _local.policy


def to_compute_dtype(x: Tensor) -> Tensor:
    """The tensor in the type in which the module that runs computes; as it is where that is float32."""
    return x if not in_use or _local.policy == FLOAT32 else x.astype(_local.policy)


def _cast(values: Any, unwanted: frozenset[str], dtype: str) -> Any:
    """The nest with tensors of unwanted types cast; the very same object if there is none, so that a list stays the caller's list."""
    if isinstance(values, Tensor):
        return values.astype(dtype) if values.dtype in unwanted else values
    if isinstance(values, TensorLike):  # a variable: reading casts it
        return values
    if not any(isinstance(leaf, Tensor) and leaf.dtype in unwanted for leaf in tree.leaves(values)):
        return values
    return tree.map_leaves(lambda leaf: _cast(leaf, unwanted, dtype) if isinstance(leaf, Tensor) else leaf, values)
