"""Trees of arrays taken apart into a flat list and a structure, and put together again. Arrays are leaves; anything else is a constant.

JAX's own flattening sorts the keys of dicts and turns Python numbers into arrays; this one keeps both. A structure is hashable
where its constants are, and leads to the compiled program.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from babel_dl.backend.contract import Native, Tree

Structure = Any
"""`None` for a leaf; (kind, ...) for a container or a constant."""

_CONSTANT = "constant"
_array_types: set[type] = {np.ndarray}


def flatten(tree: Tree, leaves: list[Native]) -> Structure:
    """Appends the arrays of a tree to `leaves`, in order.

    Returns:
        The structure, for `rebuild`.
    """
    kind = type(tree)
    if kind in _array_types:
        leaves.append(tree)
        return None
    if kind is tuple or kind is list or isinstance(tree, (tuple, list)):
        return (kind, *[flatten(child, leaves) for child in tree])
    if isinstance(tree, dict):
        return (dict, tuple(tree), *[flatten(child, leaves) for child in tree.values()])
    if isinstance(tree, (jax.Array, np.generic)):
        _array_types.add(kind)  # ArrayImpl, a kind of tracer, np.float32: each asked once
        leaves.append(tree)
        return None
    return (_CONSTANT, kind, tree)


def rebuild(structure: Structure, leaves: Iterator[Native]) -> Tree:
    """The tree of this structure with the next leaves."""
    if structure is None:
        return next(leaves)
    kind = structure[0]
    if kind is _CONSTANT:
        return structure[2]
    if kind is dict:
        return {key: rebuild(child, leaves) for key, child in zip(structure[1], structure[2:], strict=True)}
    children = [rebuild(child, leaves) for child in structure[1:]]
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def map_leaves(function: Callable[[Native], Native], tree: Tree) -> Tree:
    """The tree with the function applied to its arrays."""
    leaves: list[Native] = []
    structure = flatten(tree, leaves)
    return rebuild(structure, map(function, leaves))
