"""How variables start: ranges and variances from the papers' formulas."""

import numpy as np
import pytest

from babel_dl.core.initializers import INITIALIZERS, fans, find_initializer
from babel_dl.errors import ArgumentError

SHAPE = (3, 5, 20, 40)
FAN_IN, FAN_OUT = 3 * 5 * 20, 3 * 5 * 40
UNIFORM = {"glorot_uniform": 6 / (FAN_IN + FAN_OUT), "xavier_uniform": 6 / (FAN_IN + FAN_OUT), "he_uniform": 6 / FAN_IN}
NORMAL = {"glorot_normal": 2 / (FAN_IN + FAN_OUT), "xavier_normal": 2 / (FAN_IN + FAN_OUT), "he_normal": 2 / FAN_IN, "normal": 1.0}


def draw(name: str, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return find_initializer(name)(shape, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((), (1, 1)), ((7,), (7, 7)), ((4, 5), (4, 5)), ((3, 4, 5), (12, 15)), (SHAPE, (FAN_IN, FAN_OUT)), ((0, 5), (0, 5))]
)
def test_fans_are_window_times_channels(shape: tuple[int, ...], wanted: tuple[int, int]) -> None:
    assert fans(shape) == wanted


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_values_fill_the_range_of_the_paper(name: str) -> None:
    values, limit = draw(name), np.sqrt(UNIFORM[name])
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.999 * limit
    np.testing.assert_allclose(values.var(), limit**2 / 3, rtol=4 * np.sqrt(0.8 / values.size))
    assert abs(values.mean()) < 4 * limit / np.sqrt(3 * values.size)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_values_have_the_variance_of_the_paper(name: str) -> None:
    values = draw(name)
    np.testing.assert_allclose(values.var(), NORMAL[name], rtol=4 * np.sqrt(2 / values.size))
    assert abs(values.mean()) < 4 * np.sqrt(NORMAL[name] / values.size)


def test_constants() -> None:
    assert not draw("zeros").any() and (draw("ones") == 1).all()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_gives_float32_of_the_shape(name: str) -> None:
    of_matrices = name in ("orthogonal", "identity")
    for shape in (SHAPE, (4, 4), (0, 2), *(() if of_matrices else ((4,), ()))):
        values = np.asarray(draw(name, shape))
        assert (values.shape, values.dtype) == (shape, np.float32)
        assert np.isfinite(values).all()


def test_a_function_is_its_own_initializer() -> None:
    def own(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.full(shape, 2.0)

    assert find_initializer(own) is own


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(ArgumentError, match="There is no initializer 'glorot_unifrom'. Did you mean 'glorot_uniform'"):
        find_initializer("glorot_unifrom")
    with pytest.raises(ArgumentError, match="There is no initializer 'x'. Known: glorot_normal, glorot_uniform, he_normal"):
        find_initializer("x")
