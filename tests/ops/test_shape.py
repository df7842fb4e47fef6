"""Functions that move elements, against numpy; and what they refuse, with the shapes in the message."""

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.errors import ArgumentError, DTypeError, ShapeError

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

MOVES = {
    "reshape": (lambda x: ops.reshape(x, (4, 6)), lambda x: x.reshape(4, 6)),
    "reshape with a rest": (lambda x: ops.reshape(x, (3, -1)), lambda x: x.reshape(3, -1)),
    "reshape to one axis": (lambda x: ops.reshape(x, -1), lambda x: x.reshape(-1)),
    "permute_dims": (lambda x: ops.permute_dims(x, (2, 0, -2)), lambda x: x.transpose(2, 0, 1)),
    "expand_dims": (lambda x: ops.expand_dims(x, 1), lambda x: x[:, None]),
    "expand_dims at the end": (lambda x: ops.expand_dims(x, -1), lambda x: x[..., None]),
    "squeeze": (lambda x: ops.squeeze(x[:, :1, :, None], (1, -1)), lambda x: x[:, 0]),
    "broadcast_to": (lambda x: ops.broadcast_to(x[:, :1], (5, 2, 3, 4)), lambda x: np.broadcast_to(x[:, :1], (5, 2, 3, 4))),
    "concat": (lambda x: ops.concat([x, x[:, :1], x], 1), lambda x: np.concatenate([x, x[:, :1], x], 1)),
    "concat at the end": (lambda x: ops.concat([x, x], -1), lambda x: np.concatenate([x, x], -1)),
    "stack": (lambda x: ops.stack([x, x], -1), lambda x: np.stack([x, x], -1)),
    "flip": (lambda x: ops.flip(x, (0, -1)), lambda x: np.flip(x, (0, 2))),
    "flip everything": (ops.flip, np.flip),
    "tile": (lambda x: ops.tile(x, (1, 2, 3)), lambda x: np.tile(x, (1, 2, 3))),
    "pad": (lambda x: ops.pad(x, [(0, 1), (2, 0), (0, 0)], 7), lambda x: np.pad(x, [(0, 1), (2, 0), (0, 0)], constant_values=7)),
    "take": (lambda x: ops.take(x, [2, 0, -1], 1), lambda x: np.take(x, [2, 0, -1], 1)),
    "take in two axes": (lambda x: ops.take(x, [[1, 0], [3, 3]], -1), lambda x: np.take(x, [[1, 0], [3, 3]], -1)),
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, ops.asarray([[[3], [0], [1]]] * 2), -1),
        lambda x: np.take_along_axis(x, np.array([[[3], [0], [1]]] * 2), -1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("dtype", ("float32", "int32"))
def test_a_move_agrees_with_numpy(backend: Backend, name: str, dtype: str) -> None:
    ours, numpys = MOVES[name]
    values = VALUES.astype(dtype)
    result = ours(ops.asarray(values))
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy(), numpys(values))


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "number"), (-1, "from the end"), ((1, 2, 3), "all"), (slice(1, None), "slice"), ((slice(None), slice(None, None, 2)), "step"),
        ((slice(None), slice(None, None, -1)), "backwards"), ((..., -1), "dots"), ((0, ..., slice(0, 2)), "dots between"),
        (None, "new axis"),
        ((slice(None), None, 1), "new axis between"), (np.array([1, 0, 1]), "array"), ([1, 0], "list"), ((0, [2, 0]), "number and list"),
        (np.int64(1), "numpy number"), (np.array([True, False]), "mask"), ((slice(None), [0, 2]), "list in second place"), ((), "nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_indexing_agrees_with_numpy(backend: Backend, index: object, name: str) -> None:
    np.testing.assert_array_equal(ops.asarray(VALUES)[index].numpy(), VALUES[index])


def test_a_mask_of_the_whole_shape_picks_elements(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    np.testing.assert_array_equal(x[x > 20].numpy(), VALUES[VALUES > 20])


@pytest.mark.parametrize("index", [2, -3, (0, 3), (0, 0, 4), (..., 4), (..., 3, 0), (None, 2), (0, ..., -5)])
def test_a_place_outside_is_refused_on_every_backend(backend: Backend, index: object) -> None:
    with pytest.raises(IndexError, match=r"Index -?\d is outside of axis \d of a tensor of shape \(2, 3, 4\)"):
        ops.asarray(VALUES)[index]


def test_the_axis_of_a_wrong_place_behind_dots_is_named(backend: Backend) -> None:
    with pytest.raises(IndexError, match="Index 9 is outside of axis 2 "):
        ops.asarray(VALUES)[..., 9]


def test_more_indices_than_axes_are_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"A tensor of shape \(2, 3, 4\) has 3 axes, and 4 indices came"):
        ops.asarray(VALUES)[0, 0, 0, 0]


def test_true_is_no_index(backend: Backend) -> None:
    with pytest.raises(ArgumentError, match="True and False are no indices of a tensor"):
        ops.asarray(VALUES)[True]


def test_elements_cannot_be_assigned(backend: Backend) -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        ops.asarray(VALUES)[0] = 1.0


REFUSED = {
    "reshape": (lambda x: ops.reshape(x, (5, 5)), ShapeError, r"ops.reshape cannot make \(5, 5\) from \(2, 3, 4\): that has 24 elements"),
    "reshape with two rests": (lambda x: ops.reshape(x, (-1, -1)), ShapeError, r"ops.reshape cannot make \(-1, -1\) .* One size may be -1"),
    "reshape with a rest": (lambda x: ops.reshape(x, (5, -1)), ShapeError, r"ops.reshape cannot make \(5, -1\) from \(2, 3, 4\)"),
    "permute_dims": (lambda x: ops.permute_dims(x, (0, 1, 1)), ShapeError, r"ops.permute_dims got an axis twice: \(0, 1, 1\)"),
    "permute_dims short": (lambda x: ops.permute_dims(x, (0, 1)), ArgumentError, "ops.permute_dims needs 3 axes, and got 2"),
    "expand_dims": (lambda x: ops.expand_dims(x, 4), ShapeError, "ops.expand_dims was asked for axis 4 of a tensor with 4 axes"),
    "squeeze": (lambda x: ops.squeeze(x, 1), ShapeError, r"ops.squeeze cannot drop axis 1 of shape \(2, 3, 4\): its size is 3, not 1"),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (2, 3, 5)), ShapeError, r"cannot make \(2, 3, 5\) from \(2, 3, 4\): sizes must be"),
    "broadcast_to less": (lambda x: ops.broadcast_to(x, (3, 4)), ShapeError, r"cannot make \(3, 4\) from \(2, 3, 4\)"),
    "concat": (lambda x: ops.concat([x, x[:, :2]], 0), ShapeError, r"concat along axis 0 got shapes \[\(2, 3, 4\), \(2, 2, 4\)\]; the"),
    "concat of nothing": (lambda x: ops.concat([]), ShapeError, "ops.concat needs at least one tensor, and got none"),
    "stack": (lambda x: ops.stack([x, x[0]]), ShapeError, r"ops.stack got shapes \[\(2, 3, 4\), \(3, 4\)\]; they must be equal"),
    "stack of nothing": (lambda x: ops.stack([]), ShapeError, "ops.stack needs at least one tensor, and got none"),
    "flip": (lambda x: ops.flip(x, 3), ShapeError, "ops.flip was asked for axis 3"),
    "tile": (lambda x: ops.tile(x, (2,)), ArgumentError, "ops.tile needs 3 counts, one for each axis, and got 1"),
    "pad": (lambda x: ops.pad(x, [(1, 1)]), ArgumentError, r"ops.pad needs 3 pairs \(before, after\), one for each axis, and got 1"),
    "take": (lambda x: ops.take(x, [0.5]), DTypeError, "ops.take needs whole numbers as indices, and got float32"),
    "take_along_axis": (lambda x: ops.take_along_axis(x, [0]), ShapeError, r"got shapes \(2, 3, 4\) and \(1,\); both need the same"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_the_shapes(backend: Backend, name: str) -> None:
    move, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        move(ops.asarray(VALUES))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0, -1), (0,)])
def test_nothing_can_be_reshaped_to_nothing(backend: Backend, shape: tuple[int, ...]) -> None:
    if -1 in shape:
        with pytest.raises(ShapeError, match="ops.reshape cannot make"):
            ops.reshape(ops.zeros((2, 1)), shape)
    else:
        assert ops.reshape(ops.zeros((0, 3)), shape).shape == shape
