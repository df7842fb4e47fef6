"""Nests of tensors keep their structure (babilim's D14: named tuples became tuples, a text broke the whole nest)."""

from collections import namedtuple
from dataclasses import dataclass, field

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.ops import tree
from babel_dl.ops.dispatch import unwrap, wrap_natives

Pair = namedtuple("Pair", ["left", "right"])


@dataclass(frozen=True)
class Sample:
    image: object
    extra: dict = field(default_factory=dict)


NEST = {"a": [1, (2, None)], "b": Pair(3, "text"), "c": Sample(4, {"d": 5})}


def test_leaves_come_in_order_and_none_is_one() -> None:
    assert list(tree.leaves(NEST)) == [1, 2, None, 3, "text", 4, 5]


def test_mapping_keeps_every_container() -> None:
    mapped = tree.map_leaves(lambda leaf: leaf if leaf is None or isinstance(leaf, str) else leaf * 10, NEST)
    assert mapped == {"a": [10, (20, None)], "b": Pair(30, "text"), "c": Sample(40, {"d": 50})}
    assert type(mapped["b"]) is Pair and type(mapped["c"]) is Sample


def test_dataclasses_are_packed_and_put_together_again() -> None:
    packed = tree.pack(NEST)
    assert packed["c"] == tree.Packed(Sample, {"image": 4, "extra": {"d": 5}})
    assert packed["a"] == NEST["a"] and type(packed["b"]) is Pair
    assert tree.unpack(packed) == NEST


def test_leaves_are_named_by_their_place() -> None:
    assert [name for name, _ in tree.named_leaves(NEST)] == ["a[0]", "a[1][0]", "a[1][1]", "b.left", "b.right", "c.image", "c.extra.d"]
    assert list(tree.named_leaves(7)) == [("", 7)]


def test_wrapping_leaves_everything_else_in_its_place(backend: Backend) -> None:
    nest = {"x": Pair(ops.ones(1), "text"), "y": [None, 3, ops.zeros(2)]}
    natives = unwrap(nest)
    assert type(natives["x"]) is Pair and natives["x"].right == "text" and natives["y"][:2] == [None, 3]
    assert backend.is_native(natives["x"].left) and backend.is_native(natives["y"][2])
    back = wrap_natives(natives, backend)
    assert isinstance(back["x"].left, ops.Tensor) and isinstance(back["y"][2], ops.Tensor) and back["y"][1] == 3
