"""The judge itself: what it compares it can also refuse, and its references give numbers worked out by hand."""

import numpy as np
import pytest

from babel_dl.testing.conformance import references
from babel_dl.testing.conformance.judge import Mismatch, expect_array, expect_same, map_arrays, numeric_gradients

PLAIN = ((0, 0),)


def test_equal_arrays_pass_with_nan_beside_nan() -> None:
    expect_array(np.array([1.0, np.nan, np.inf]), [1.0, np.nan, np.inf])
    expect_array(np.array([1.0, 2.000001]), [1.0, 2.0], 1e-5)


@pytest.mark.parametrize("got", [[1.0, 2.1], [1.0, np.nan], [1.0, np.inf], [np.nan, 2.0]])
@pytest.mark.parametrize("tolerance", [0.0, 1e-5])
def test_a_different_number_is_refused(got: list[float], tolerance: float) -> None:
    with pytest.raises(Mismatch, match="values differ beyond"):
        expect_array(np.array(got), [1.0, 2.0], tolerance)


def test_a_missing_nan_is_refused() -> None:
    with pytest.raises(Mismatch, match="values differ beyond"):
        expect_array(np.array([0.0]), [np.nan], 1e-5)


def test_an_infinity_of_the_other_sign_is_refused() -> None:
    with pytest.raises(Mismatch, match="values differ beyond"):
        expect_array(np.array([np.inf]), [-np.inf], 1e-5)


def test_a_shape_that_would_broadcast_is_refused() -> None:
    with pytest.raises(Mismatch, match="shape: got"):
        expect_array(np.ones((3, 1)), np.ones(3), 1e-5)


def test_a_neighbouring_large_integer_is_refused() -> None:
    with pytest.raises(Mismatch, match="values differ beyond"):
        expect_array(np.array([2**62], np.int64), np.array([2**62 + 1]))


def test_different_values_are_refused() -> None:
    with pytest.raises(Mismatch, match="count: got 1, expected 2"):
        expect_same(1, 2, "count")


def test_finite_differences_find_the_gradient_of_a_product() -> None:
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    first, second = numeric_gradients(np.multiply, [x, y], np.array([1.0, 10.0]))
    np.testing.assert_allclose(first, [3.0, 50.0], rtol=1e-8)
    np.testing.assert_allclose(second, [1.0, 20.0], rtol=1e-8)


def test_arrays_are_found_in_nested_arguments() -> None:
    found: list[int] = []
    mapped = map_arrays(lambda a: found.append(a.size), ([np.ones(2), 3], (slice(1), np.ones(4)), None))
    assert found == [2, 4]
    assert mapped == ([None, 3], (slice(1), None), None)


def test_reference_convolution_gives_numbers_worked_out_by_hand() -> None:
    x, kernel = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1), np.array([10.0, 1]).reshape(2, 1, 1)
    plain = references.convolution(x, kernel, None, (1,), PLAIN, (1,), 1)
    assert plain.ravel().tolist() == [12, 23, 34]
    strided = references.convolution(x, kernel, np.array([100.0]), (2,), ((1, 1),), (1,), 1)
    assert strided.ravel().tolist() == [101, 123, 140]
    dilated = references.convolution(x, kernel, None, (1,), ((0, 1),), (2,), 1)
    assert dilated.ravel().tolist() == [13, 24, 30]


def test_reference_convolution_keeps_groups_apart() -> None:
    x, kernel = np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0, 4.0]]])
    assert references.convolution(x, kernel, None, (1,), PLAIN, (1,), 2).ravel().tolist() == [1, 2, 30, 40]


def test_reference_pools_give_numbers_worked_out_by_hand() -> None:
    x = np.array([-1.0, -2, -6, -4]).reshape(1, 4, 1)
    assert references.max_pool(x, (2,), (2,), ((1, 1),), (1,)).ravel().tolist() == [-1, -2, -4]
    assert references.average_pool(x, (2,), (2,), ((1, 1),), True).ravel().tolist() == [-0.5, -4, -2]
    assert references.average_pool(x, (2,), (2,), ((1, 1),), False).ravel().tolist() == [-1, -4, -4]


def test_reference_entropy_is_nan_for_a_label_outside() -> None:
    got = references.sparse_cross_entropy(np.zeros((4, 2)), np.array([0, 1, 2, -1]))
    np.testing.assert_allclose(got, [np.log(2), np.log(2), np.nan, np.nan])
