"""The table of functions that join many elements into one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from babel_dl.testing.conformance.cases import FLOATS, INTEGERS, Case

R = (np.arange(24) * 7 % 25 / 8 - 1.25).reshape(2, 3, 4)
"""24 different numbers, exact in every floating type."""
N = (np.arange(24) * 5 % 24 - 9).reshape(2, 3, 4)
M = R[0].copy()
TIES = np.array([[3, 1, 3, 0], [2, 2, 2, 2], [-1, 5, 5, -1]])
FACTORS = np.array([[0.5, -2.0, 1.5], [0.0, 4.0, -0.25]])
BOOLS = np.array([[[True, False], [False, False]], [[True, True], [True, False]]])
EMPTY = np.zeros((0, 3))
AXES = ((0,), (2,), (0, 2), (0, 1, 2))


def _typed(function: Callable[..., Any]) -> Callable[..., Any]:
    def reference(x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
        return function(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    return reference


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axes, keepdims: function(x, axis=axes, keepdims=keepdims)


def _cumulative(x: np.ndarray, axis: int) -> np.ndarray:
    return np.cumsum(x, axis, dtype=x.dtype)


def _argsort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    keys = x.astype(np.float64)
    return np.argsort(-keys if descending else keys, axis, kind="stable")


REFERENCES = {"sum": _typed(np.sum), "mean": _typed(np.mean), "prod": _typed(np.prod), "max": _plain(np.max), "min": _plain(np.min)}

FOLDS = [
    *(Case(name, (R, axes, keepdims), REFERENCES[name], f"{axes}{'_kept' if keepdims else ''}",
           ("float32", "float64") if name == "prod" else FLOATS, differentiable=True)
      for name in REFERENCES for axes in AXES for keepdims in (False, True)),
    *(Case(name, (N, axes, False), REFERENCES[name], f"integers_{axes}", INTEGERS)
      for name in ("sum", "prod", "max", "min") for axes in ((1,), (0, 1, 2))),
    *(Case(name, (BOOLS, axes, keepdims), _plain(getattr(np, name)), f"{axes}{'_kept' if keepdims else ''}", ("bool",))
      for name in ("any", "all") for axes in ((0,), (1, 2), (0, 1, 2)) for keepdims in (False, True)),
    Case("prod", (FACTORS, (1,), False), REFERENCES["prod"], "with_a_zero", differentiable=True),
    Case("sum", (np.full(100_000, 0.1), (0,), False), REFERENCES["sum"], "many"),
    Case("mean", (np.full((500, 2), 1.1), (0,), False), REFERENCES["mean"], "first_axis"),
    *(Case(name, (EMPTY, (0,), False), REFERENCES[name], "empty") for name in ("sum", "prod")),
    *(Case(name, (EMPTY, (1,), False), REFERENCES[name], "no_rows") for name in ("sum", "max", "min", "mean")),
    *(Case(name, (np.zeros((0, 2), bool), (0,), False), _plain(getattr(np, name)), "empty", ("bool",)) for name in ("any", "all")),
]

ORDERED = (("floats", R, FLOATS), ("ties", TIES, INTEGERS), ("float_ties", np.tile(TIES * 0.5, (3, 5)), FLOATS))

POSITIONS = [
    *(Case(name, (x, axis, keepdims), _plain(getattr(np, name)), f"{note}_{axis}{'_kept' if keepdims else ''}", dtypes, "int32")
      for name in ("argmax", "argmin") for note, x, dtypes in ORDERED for axis, keepdims in ((0, False), (1, True))),
    *(Case("argsort", (x, axis, descending), _argsort, f"{note}_{axis}{'_descending' if descending else ''}", dtypes, "int32")
      for note, x, dtypes in ORDERED for axis in (0, 1) for descending in (False, True)),
    Case("argsort", (np.array([0, 255, 3, 255, 0], np.uint8), 0, True), _argsort, "smallest_of_unsigned", ("uint8",), "int32"),
    Case("argsort", (np.array([-128, 127, -128, 0], np.int8), 0, True), _argsort, "smallest_of_signed", ("int8",), "int32"),
    Case("argsort", (np.array([-(2**31), 2**31 - 1, -(2**31), 0], np.int32), 0, True), _argsort, "smallest_of_int32", ("int32",), "int32"),
    Case("argsort", (np.array([np.inf, -np.inf, 0.0, np.inf]), 0, True), _argsort, "infinities", ("float32",), "int32"),
    Case("argsort", (np.arange(300) % 2, 0, False), _argsort, "long_ties", ("int32",), "int32"),
    Case("cumulative_sum", (R, 0), _cumulative, "0", FLOATS, differentiable=True),
    Case("cumulative_sum", (R, 2), _cumulative, "2", FLOATS, differentiable=True),
    Case("cumulative_sum", (N, 1), _cumulative, "integers", INTEGERS),
    Case("cumulative_sum", (EMPTY, 0), _cumulative, "empty"),
]

PRODUCTS = [
    Case("matmul", (x, y), np.matmul, note, FLOATS, differentiable=True)
    for note, x, y in (
        ("matrices", M, R[1].T), ("batch_and_matrix", R, M.T), ("matrix_and_batch", M.T, R[:, :, :2]), ("batches", R, R.transpose(0, 2, 1)),
        ("batches_broadcast", R[:, None], R[:1].transpose(0, 2, 1)), ("vectors", R[0, 0], R[1, 2]), ("matrix_and_vector", M, R[1, 0]),
        ("vector_and_matrix", R[1, :, 0], M), ("vector_and_batch", R[1, :, 0], R), ("batch_and_vector", R, R[1, 0]),
    )
]
PRODUCTS += [
    Case("matmul", (N[0], N[1].T), np.matmul, "integers", ("int32", "int64")),
    Case("matmul", (np.zeros((2, 0)), EMPTY), np.matmul, "over_nothing"),
]

ALL = [*FOLDS, *POSITIONS, *PRODUCTS]
