"""Trees of arguments and results: tuples, lists and dicts, nested, with everything else as leaves."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import Tensor

from babel_dl.backend.contract import Tree


def map_tree(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with `function` of each leaf; named tuples stay what they are."""
    if isinstance(tree, dict):
        return {key: map_tree(function, leaf) for key, leaf in tree.items()}
    if isinstance(tree, (tuple, list)):
        mapped = [map_tree(function, leaf) for leaf in tree]
        return type(tree)(*mapped) if hasattr(tree, "_fields") else type(tree)(mapped)
    return function(tree)


def signature(tree: Tree, tensors: list[Tensor]) -> Hashable:
    """What a compiled graph depends on: structure, constants, and each tensor's type, shape and place.

    Args:
        tree: Arguments; constants in it must be hashable.
        tensors: Receives the tensors in the tree, in order.
    """
    if isinstance(tree, Tensor):
        tensors.append(tree)
        return tree.dtype, tree.shape, tree.stride(), tree.device, tree.requires_grad
    if isinstance(tree, dict):
        return (dict, *((key, signature(leaf, tensors)) for key, leaf in tree.items()))
    if isinstance(tree, (tuple, list)):
        return (type(tree), *(signature(leaf, tensors) for leaf in tree))
    return type(tree), tree  # the type too: 1, 1.0 and True are equal


def tensors_in(tree: Tree) -> list[Tensor]:
    """The tensors in a tree, in order."""
    found: list[Tensor] = []
    map_tree(lambda leaf: found.append(leaf) if isinstance(leaf, Tensor) else None, tree)
    return found


def exchange(tree: Tree, tensors: Sequence[Tensor]) -> Tree:
    """The same tree with its tensors replaced by others, in order."""
    replacements = iter(tensors)
    return map_tree(lambda leaf: next(replacements) if isinstance(leaf, Tensor) else leaf, tree)
