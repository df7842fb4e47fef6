"""Pictures turned for native modules that take the channels before the spatial axes, and back."""

from typing import Any

import jax
import jax.numpy as jnp

from babel_dl.backend.contract import Tree
from babel_dl_jax.trees import map_leaves


def to_first(tree: Tree, ranks: tuple[int, ...]) -> Tree:
    """The tree with the last axis of arrays of these ranks moved to the second place."""
    return map_leaves(lambda leaf: jnp.moveaxis(leaf, -1, 1) if _is_turned(leaf, ranks) else leaf, tree) if ranks else tree


def to_last(tree: Tree, ranks: tuple[int, ...]) -> Tree:
    """The tree with the second axis of arrays of these ranks moved to the end."""
    return map_leaves(lambda leaf: jnp.moveaxis(leaf, 1, -1) if _is_turned(leaf, ranks) else leaf, tree) if ranks else tree


def ranks_to_turn(channels_first: bool | None, by_default: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of axes of the tensors that are turned.

    Args:
        channels_first: What the user said.
        by_default: Where that is None.
    """
    return by_default if channels_first is None else (3, 4, 5) if channels_first else ()


def _is_turned(leaf: Any, ranks: tuple[int, ...]) -> bool:
    return isinstance(leaf, jax.Array) and leaf.ndim in ranks
