"""The table of functions that move elements."""

from typing import Any

import numpy as np

from babel_dl.testing.conformance.cases import PLAIN, Case

A = (np.arange(24.0) * 7 % 11).reshape(2, 3, 4)
ROW = A[0]
SIGNED_ROW = ROW - 4.5
EMPTY = np.zeros((0, 3))
NEAR = np.array([-1, 0, 1, 1], np.int32)
GRID = np.array([[0, 1], [-2, 1]], np.int32)
FLAGS = np.array([True, False, True])
ALL_AXES = slice(None)


def _case(name: str, arguments: tuple[Any, ...], reference: Any, note: str = "", **settings: Any) -> Case:
    return Case(name, arguments, reference, note, **{"dtypes": PLAIN, "differentiable": True, **settings})


def _pad(x: np.ndarray, widths: tuple[tuple[int, int], ...], value: float) -> np.ndarray:
    return np.pad(x, widths, constant_values=np.array(value, x.dtype))


def _split(x: np.ndarray, sizes: tuple[int, ...], axis: int) -> tuple[np.ndarray, ...]:
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


def _take_along(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    shape = list(np.broadcast_shapes((*x.shape[:axis], 1, *x.shape[axis + 1:]), (*indices.shape[:axis], 1, *indices.shape[axis + 1:])))
    whole = np.broadcast_to(x, (*shape[:axis], x.shape[axis], *shape[axis + 1:]))
    return np.take_along_axis(whole, np.broadcast_to(indices, (*shape[:axis], indices.shape[axis], *shape[axis + 1:])), axis)


def _getitem(note: str, index: tuple[Any, ...], **settings: Any) -> Case:
    return _case("getitem", (A, index), lambda x, i: x[i], note, **settings)


MOVES = [
    _case("reshape", (A, (4, 6)), np.reshape),
    _case("reshape", (A, (2, -1)), np.reshape, "guessed_size"),
    _case("reshape", (A, (-1,)), np.reshape, "flat"),
    _case("reshape", (np.array(3.0), (1, 1)), np.reshape, "no_axis"),
    _case("reshape", (np.array([[3.0]]), ()), np.reshape, "to_no_axis"),
    _case("reshape", (EMPTY, (3, 0, 2)), np.reshape, "empty", differentiable=False),
    _case("permute_dims", (A, (2, 0, 1)), np.transpose),
    _case("permute_dims", (A, (0, 1, 2)), np.transpose, "nothing_moves"),
    _case("expand_dims", (ROW, 0), np.expand_dims, "first"),
    _case("expand_dims", (ROW, 1), np.expand_dims, "middle"),
    _case("expand_dims", (ROW, 2), np.expand_dims, "last"),
    _case("squeeze", (A.reshape(1, 6, 1, 4), (0,)), np.squeeze),
    _case("squeeze", (A.reshape(1, 6, 1, 4), (0, 2)), np.squeeze, "two_axes"),
    _case("broadcast_to", (ROW, (2, 3, 4)), np.broadcast_to, "new_axis"),
    _case("broadcast_to", (ROW[:, :1], (3, 5)), np.broadcast_to, "size_one"),
    _case("broadcast_to", (np.array(2.0), (2, 3)), np.broadcast_to, "no_axis"),
    _case("flip", (A, (1,)), np.flip),
    _case("flip", (A, (0, 2)), np.flip, "two_axes"),
    _case("tile", (ROW, (2, 3)), np.tile),
    _case("tile", (ROW, (1, 1)), np.tile, "once"),
    _case("pad", (ROW, ((1, 0), (2, 3)), 0.0), _pad),
    _case("pad", (ROW, ((0, 0), (0, 2)), 7.0), _pad, "value", dtypes=tuple(d for d in PLAIN if d != "bool")),
    _case("pad", (SIGNED_ROW, ((1, 1), (0, 0)), -np.inf), _pad, "minus_infinity", dtypes=("float32", "bfloat16"), differentiable=False),
    _case("pad", (A, ((1, 0), (0, 1), (2, 0)), 1.0), _pad, "three_axes"),
]

JOINS = [
    _case("concat", ([A, A[:, :1]], 1), lambda xs, axis: np.concatenate(xs, axis)),
    _case("concat", ([ROW, ROW[:1], ROW], 0), lambda xs, axis: np.concatenate(xs, axis), "three"),
    _case("concat", ([EMPTY, ROW[:, :3]], 0), lambda xs, axis: np.concatenate(xs, axis), "one_is_empty", differentiable=False),
    _case("concat", ([ROW], 1), lambda xs, axis: np.concatenate(xs, axis), "alone"),
    _case("stack", ([ROW, ROW + 1], 0), lambda xs, axis: np.stack(xs, axis), "first"),
    _case("stack", ([ROW, ROW + 1, ROW], 2), lambda xs, axis: np.stack(xs, axis), "last"),
    _case("stack", ([np.array(1.0), np.array(0.0)], 0), lambda xs, axis: np.stack(xs, axis), "no_axis"),
]

PARTS = [
    _case("split", (A, (2, 2), 2), _split, "equal"),
    _case("split", (A, (1, 0, 2), 1), _split, "one_is_empty"),
    _case("split", (A, (2,), 0), _split, "one_part"),
    _case("split", (np.arange(5.0), (1, 4), 0), _split, "one_axis"),
]

INDEXING = [
    _getitem("whole_number", (1,)),
    _getitem("from_the_end", (-1,)),
    _getitem("two_numbers", (0, -2)),
    _getitem("all_numbers", (1, 2, 3)),
    _getitem("nothing", ()),
    _getitem("slice", (slice(1, None),)),
    _getitem("slice_from_the_end", (ALL_AXES, ALL_AXES, slice(-3, -1))),
    _getitem("step", (ALL_AXES, slice(0, None, 2), slice(1, None, 2))),
    _getitem("step_beyond_the_end", (ALL_AXES, slice(1, 100, 3))),
    _getitem("reversed", (slice(None, None, -1),)),
    _getitem("reversed_part", (ALL_AXES, slice(2, 0, -1), slice(-1, None, -2))),
    _getitem("reversed_and_number", (1, slice(None, None, -2))),
    _getitem("clamped", (slice(-100, 100), slice(-100, 2))),
    _getitem("empty_slice", (ALL_AXES, slice(2, 2)), differentiable=False),
    _getitem("slice_past_the_end", (slice(5, 9),), differentiable=False),
    _getitem("new_axis", (None,)),
    _getitem("new_axes_between", (ALL_AXES, None, 1, None)),
    _getitem("ellipsis", (..., 0)),
    _getitem("ellipsis_and_new_axis", (..., None)),
    _getitem("ellipsis_in_the_middle", (0, ..., slice(1, 3))),
    _getitem("ellipsis_for_nothing", (0, 1, ..., 2)),
    _getitem("tensor", (NEAR,)),
    _getitem("tensor_of_two_axes", (GRID,)),
    _getitem("tensor_without_axis", (np.array(-1, np.int32),)),
    _getitem("tensor_on_the_second_axis", (ALL_AXES, NEAR)),
    _getitem("tensor_on_the_last_axis", (..., NEAR)),
    _getitem("tensor_between_slices", (slice(None, None, -1), GRID, slice(1, 3))),
    _getitem("tensor_and_new_axis", (None, NEAR)),
    _getitem("mask", (np.array([True, False]),), traceable=False),
    _getitem("mask_of_two_axes", (np.array([[True, False, True], [False, False, True]]),), traceable=False),
    _getitem("mask_of_all_axes", (A % 2 == 1,), traceable=False),
    _getitem("mask_on_the_second_axis", (ALL_AXES, FLAGS), traceable=False),
    _getitem("mask_of_nothing", (np.array([False, False]),), traceable=False, differentiable=False),
]

TAKING = [
    _case("take", (A, np.array([1, 0, 1], np.int32), 0), np.take),
    _case("take", (A, NEAR, 1), np.take, "from_the_end"),
    _case("take", (A, GRID, 2), np.take, "two_axes_of_indices"),
    _case("take", (A, np.array(-1, np.int32), 1), np.take, "index_without_axis"),
    _case("take", (A, np.array([2, 0], np.uint8), 1), np.take, "uint8"),
    _case("take", (A, np.array([-2, 0], np.int8), 1), np.take, "int8"),
    _case("take", (A, np.zeros((0,), np.int32), 1), np.take, "no_indices", differentiable=False),
    _case("take_along_axis", (ROW, np.array([[0, 3], [1, 1], [2, 0]], np.int32), 1), _take_along),
    _case("take_along_axis", (ROW, np.array([[0, 2, 1, 1]], np.int32), 0), _take_along, "first_axis"),
    _case("take_along_axis", (ROW, np.array([[3, 0]], np.int32), 1), _take_along, "indices_broadcast"),
    _case("take_along_axis", (ROW[:1], np.array([[3, 0], [1, 2]], np.int32), 1), _take_along, "tensor_broadcasts"),
    _case("take_along_axis", (A, A.argsort(1).astype(np.int32), 1), _take_along, "three_axes"),
]

ALL = [*MOVES, *JOINS, *PARTS, *INDEXING, *TAKING]
