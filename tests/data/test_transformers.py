"""The transformers that come with babel_dl."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babel_dl.data import AsType, Compose, Normalize, RandomCrop, RandomFlip, Transformer
from babel_dl.data.transformer import is_random
from babel_dl.errors import ArgumentError, ShapeError
from tests.data.examples import NetworkInput, NetworkOutput, Noise, Wrap, embedded

MaskOutput = namedtuple("MaskOutput", ["mask"])


def picture(index=0):
    return embedded()[0][index][:, :, None]


def run(transformer, image, outp=None, seed=0):
    options = {"rng": np.random.default_rng(seed)} if is_random(transformer) else {}
    return transformer(NetworkInput(image), outp or NetworkOutput(1), **options)


def test_normalize_shifts_and_scales_to_float32():
    image = np.stack([picture(), picture(1)], axis=-1)[:, :, 0]
    result = run(Normalize([10, 20], [2, 4]), image)[0].image
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:, :, 1], (image[:, :, 1].astype("float64") - 20) / 4, rtol=1e-6)


def test_normalize_leaves_the_given_array_alone():
    image = picture().astype("float32")
    before = image.copy()
    run(Normalize(1, 2), image)
    assert np.array_equal(image, before)


def test_as_type_changes_the_type_of_the_named_fields():
    inp, outp = run(AsType("float32", fields=("image", "class_id")), picture())
    assert inp.image.dtype == np.float32 and outp.class_id.dtype == np.float32


@pytest.mark.parametrize("axis", [0, 1])
def test_flip_mirrors_or_leaves(axis):
    image = picture()
    results = [run(RandomFlip(axis=axis), image, seed=seed)[0].image for seed in range(400)]
    mirrored = [np.array_equal(result, np.flip(image, axis)) for result in results]
    assert all(flipped or np.array_equal(result, image) for flipped, result in zip(mirrored, results, strict=True))
    assert 150 < sum(mirrored) < 250  # 200 expected, standard deviation 10


def test_flip_mirrors_fields_together():
    for seed in range(10):
        inp, outp = run(RandomFlip(fields=("image", "mask")), picture(), MaskOutput(picture()), seed)
        assert np.array_equal(inp.image, outp.mask)


@pytest.mark.parametrize(("probability", "image"), [(0.0, picture()), (1.0, picture()[:, ::-1])])
def test_flip_of_certain_outcome(probability, image):
    assert all(np.array_equal(run(RandomFlip(probability), picture(), seed=seed)[0].image, image) for seed in range(20))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 15), st.integers(0, 10**6))
def test_crop_is_a_window_of_the_padded_picture(height, width, rows, columns, padding, seed):
    image = np.arange(1, height * width + 1, dtype="int32").reshape(height, width, 1)
    crop = RandomCrop((rows, columns), padding)
    if min(height + 2 * padding - rows, width + 2 * padding - columns) < 0:
        with pytest.raises(ShapeError, match="is smaller than the window"):
            run(crop, image, seed=seed)
        return
    result = run(crop, image, seed=seed)[0].image
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image[:, :, 0], padding), (rows, columns))
    assert result.shape == (rows, columns, 1) and result.dtype == image.dtype
    assert (windows == result[:, :, 0]).all(axis=(2, 3)).any()


def test_crop_reaches_every_place():
    image = np.arange(9).reshape(3, 3, 1)
    corners = {int(run(RandomCrop(2), image, seed=seed)[0].image[0, 0, 0]) for seed in range(200)}
    assert corners == {0, 1, 3, 4}


def test_compose_is_the_same_as_one_after_the_other():
    image = picture().astype("float32")
    composed = run(Compose([RandomFlip(), Noise(), Wrap()]), image, seed=4)[0].image
    rng = np.random.default_rng(4)
    sample = NetworkInput(image), NetworkOutput(1)
    for transformer in (RandomFlip(), Noise()):
        sample = transformer(*sample, rng=rng)
    assert np.array_equal(composed, sample[0].image)


def test_composition_draws_if_one_part_does():
    assert is_random(Compose([Wrap(), RandomFlip()])) and not is_random(Compose([Wrap(), AsType("float32")]))
    with pytest.raises(ArgumentError, match="Compose: one of its transformers draws random numbers"):
        Compose([RandomFlip()])(NetworkInput(picture()), NetworkOutput(1))


def test_versions_tell_all_settings():
    ours = [
        RandomFlip(0.5), RandomFlip(0.4), RandomFlip(axis=0), RandomFlip(fields=("mask",)), RandomCrop(28), RandomCrop(27),
        RandomCrop(28, 1), Normalize(0, 1), Normalize(1, 1), Normalize(0, 2), AsType("float32"), AsType("uint8"),
        Compose([RandomFlip(0.5)]), Compose([]),
    ]
    assert len({transformer.version for transformer in ours}) == len(ours)


def test_transformer_has_to_write_both_parts():
    class Half(Transformer):
        def __call__(self, inp, outp):
            return inp, outp

    with pytest.raises(TypeError, match="version"):
        Half()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RandomFlip(1.5), "RandomFlip: probability is 1.5, and must be between 0 and 1"),
        (lambda: RandomFlip(axis=2), "RandomFlip: axis is 2, and must be 0"),
        (lambda: RandomFlip(fields=()), "RandomFlip: fields is empty"),
        (lambda: RandomCrop(0), "RandomCrop: size is 0, and must be at least 1 pixel"),
        (lambda: RandomCrop(3, -1), "RandomCrop: padding is -1, and must be at least 0 pixels"),
        (lambda: Normalize(0, [1, 0]), r"Normalize: std is \[1.0, 0.0\], and must be above 0"),
        (lambda: AsType("flaot32"), "AsType: numpy has no element type 'flaot32'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, text):
    with pytest.raises(ArgumentError, match=text):
        make()


def test_unknown_field_is_named_with_the_nearest():
    with pytest.raises(ArgumentError, match="AsType: the sample has no field 'imgae'. Did you mean 'image'?"):
        run(AsType("float32", fields=("imgae",)), picture())
