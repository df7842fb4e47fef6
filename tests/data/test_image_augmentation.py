"""What the transformers of pictures compute, held against the formulas of their descriptions."""

import numpy as np
import pytest

from babel_dl.core.registry import TRANSFORMERS
from babel_dl.data import (
    CenterCrop,
    ColorJitter,
    Normalize,
    RandomErasing,
    RandomFlip,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    SampleStreams,
    ToTensor,
)
from babel_dl.data.transformer import is_random
from babel_dl.errors import ArgumentError, DTypeError, ShapeError
from tests.data.examples import NetworkInput, NetworkOutput

COUNT = 400


def colours(dtype="uint8", size=(9, 11)):
    values = np.random.default_rng(1).integers(0, 256, (COUNT, *size, 3))
    return values.astype("uint8") if dtype == "uint8" else (values / 255).astype(dtype)


def run(transformer, images, seed=0):
    streams = {"rng": SampleStreams(seed, 0, np.arange(len(images)))} if is_random(transformer) else {}
    return transformer.batch(NetworkInput(images), NetworkOutput(np.zeros(len(images))), **streams)[0].image


@pytest.mark.parametrize(("flip", "axis"), [(RandomHorizontalFlip(), 2), (RandomVerticalFlip(), 1), (RandomFlip(axis=0), 1)])
def test_half_of_a_batch_is_mirrored(flip, axis):
    images = colours()
    result = run(flip, images)
    mirrored = (result == np.flip(images, axis)).all(axis=(1, 2, 3))
    assert (mirrored | (result == images).all(axis=(1, 2, 3))).all()
    assert 150 < mirrored.sum() < 250  # 200 expected, standard deviation 10
    assert not np.shares_memory(result, images)


def test_the_two_flips_draw_as_random_flip():
    assert np.array_equal(run(RandomHorizontalFlip(0.3), colours()), run(RandomFlip(0.3, axis=1), colours()))
    assert RandomHorizontalFlip().version != RandomFlip().version


@pytest.mark.parametrize(("size", "expected"), [((4, 5), (2, 3)), ((9, 11), (0, 0)), ((6, 10), (2, 0)), ((1, 1), (4, 5))])
def test_center_crop_is_the_middle(size, expected):
    # places as torchvision has them: round(free / 2), half to even
    images, (top, left) = colours(), expected
    assert np.array_equal(run(CenterCrop(size), images), images[:, top : top + size[0], left : left + size[1]])


def test_normalize_works_on_each_channel():
    mean, std = [100.0, 120.0, 140.0], [50.0, 60.0, 70.0]
    images = colours()
    np.testing.assert_allclose(run(Normalize(mean, std), images), (images.astype("float64") - mean) / std, rtol=1e-6, atol=1e-6)
    whole = np.random.default_rng(0).normal(size=(9, 11, 3))
    np.testing.assert_allclose(run(Normalize(whole, std), images), (images - whole.astype("float32")) / np.array(std), rtol=1e-5, atol=1e-5)


def test_normalize_gives_each_number_a_row_of_channels_alone_and_in_a_batch():
    normalize = Normalize([1.0, 2.0, 3.0], 1.0, fields="class_id")
    _, outp = normalize.batch(NetworkInput(np.zeros(3)), NetworkOutput(np.array([5, 6, 7])))
    alone = [normalize(NetworkInput(0), NetworkOutput(value))[1].class_id for value in (5, 6, 7)]
    assert np.array_equal(outp.class_id, alone)


def test_to_tensor_divides_and_adds_channels():
    images = colours()[..., 0]
    result = run(ToTensor(), images)
    assert result.dtype == np.float32 and np.array_equal(result[..., 0], images.astype("float32") / np.float32(255))


# ---------------------------------------------------------------- erasing


def test_erased_part_is_one_rectangle_within_the_ranges():
    images = np.ones((COUNT, 40, 60, 3), "float32")
    result = run(RandomErasing(0.6, scale=(0.1, 0.2), ratio=(0.5, 2.0), value=[0.0, 0.5, 0.0]), images)
    num_erased = 0
    for picture in result:
        hidden = picture[:, :, 0] == 0
        if not hidden.any():
            continue
        num_erased += 1
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert hidden.sum() == height * width and (picture[hidden] == [0.0, 0.5, 0.0]).all()
        assert 0.09 < height * width / 2400 < 0.22 and 0.45 < height / width < 2.2  # rounded to whole pixels
    assert 200 < num_erased < 280  # 240 expected, standard deviation 10
    assert (images == 1).all()


def test_erasing_reaches_every_corner_and_pixel():
    erased = run(RandomErasing(1.0, scale=(0.2, 0.3)), np.ones((COUNT, 8, 8), "uint8")) == 0
    assert erased.any(axis=0).all()


def test_cutout_is_a_square():
    result = run(RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0)), np.ones((COUNT, 20, 20), "uint8"))
    assert ((result == 0).sum(axis=(1, 2)) == 100).all()


def test_a_rectangle_that_never_fits_leaves_the_picture():
    images = np.ones((5, 4, 40), "uint8")
    assert (run(RandomErasing(1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0)), images) == 1).all()


# ---------------------------------------------------------------- colour


def jittered(images, factors, highest):
    """The description of ColorJitter, one picture after the other, in float64."""
    results = []
    for image, (brightness, contrast, saturation) in zip(images.astype("float64"), factors, strict=True):
        x = np.clip(image * brightness, 0, highest)
        x = np.clip(contrast * x + (1 - contrast) * (x @ [0.2989, 0.587, 0.114]).mean(), 0, highest)
        grey = (x @ [0.2989, 0.587, 0.114])[..., None]
        results.append(np.clip(saturation * x + (1 - saturation) * grey, 0, highest))
    return np.array(results)


@pytest.mark.parametrize(("dtype", "highest"), [("uint8", 255.0), ("float32", 1.0), ("float64", 1.0)])
def test_colour_jitter_follows_its_formulas(dtype, highest):
    images = colours(dtype)
    result = run(ColorJitter(0.4, (0.2, 1.5), 0.9), images, seed=3)
    draws = SampleStreams(3, 0, np.arange(COUNT)).random(3)
    factors = np.array([0.6, 0.2, 0.1]) + draws * np.array([0.8, 1.3, 1.8])
    wanted = jittered(images, factors, highest)
    assert result.dtype == images.dtype
    np.testing.assert_allclose(result, wanted, atol=0.5 + 1e-3 if dtype == "uint8" else 1e-5)


def test_colour_jitter_of_nothing_changes_nothing():
    assert np.array_equal(run(ColorJitter(), colours()), colours())


def test_grey_pictures_have_no_saturation():
    images = colours()[..., :1]
    assert np.array_equal(run(ColorJitter(saturation=1.0), images), images)
    assert not np.array_equal(run(ColorJitter(contrast=1.0), images), images)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RandomHorizontalFlip(2.0), "RandomHorizontalFlip: probability is 2.0, and must be between 0 and 1"),
        (lambda: CenterCrop(0), "CenterCrop: size is 0, and must be at least 1 pixel"),
        (lambda: RandomErasing(-1), "RandomErasing: probability is -1, and must be between 0 and 1"),
        (lambda: RandomErasing(scale=(0.5, 0.2)), "RandomErasing: scale is .0.5, 0.2., and must be two rising parts of the area"),
        (lambda: RandomErasing(ratio=(0, 1)), "RandomErasing: ratio is .0, 1., and must be two rising numbers above 0"),
        (lambda: ColorJitter(contrast=-0.1), "ColorJitter: contrast is -0.1, and must be at least 0"),
        (lambda: ColorJitter(saturation=(2, 1)), "ColorJitter: saturation is .2, 1., and must be two rising factors"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, text):
    with pytest.raises(ArgumentError, match=text):
        make()


@pytest.mark.parametrize(
    ("transformer", "images", "error", "text"),
    [
        (CenterCrop(10), colours(), ShapeError, r"CenterCrop: a picture of shape \(9, 11, 3\) is smaller than the window \(10, 10\)"),
        (ColorJitter(1.0), colours()[..., :2], ShapeError, r"ColorJitter got pictures of shape \(9, 11, 2\), and takes"),
        (ColorJitter(1.0), colours().astype("int32"), DTypeError, "ColorJitter takes pictures of uint8 .* and got int32"),
        (ToTensor(), colours().astype("int32"), DTypeError, "ToTensor takes pictures of uint8"),
        (ToTensor(), np.zeros(4), ShapeError, r"image_grid_wrap got an array of shape \(\)"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(transformer, images, error, text):
    with pytest.raises(error, match=text):
        run(transformer, images)


def test_they_have_names():
    names = "random_horizontal_flip", "random_vertical_flip", "random_crop", "center_crop", "normalize", "random_erasing", "color_jitter"
    assert [TRANSFORMERS.find(name).__name__ for name in names] == [
        "RandomHorizontalFlip", "RandomVerticalFlip", "RandomCrop", "CenterCrop", "Normalize", "RandomErasing", "ColorJitter",
    ]  # fmt: skip


def test_versions_tell_all_settings():
    ours = [
        RandomHorizontalFlip(), RandomVerticalFlip(), CenterCrop(3), CenterCrop(4), RandomErasing(), RandomErasing(0.4),
        RandomErasing(scale=(0.1, 0.2)), RandomErasing(ratio=(1, 2)), RandomErasing(value=1), ColorJitter(), ColorJitter(0.1),
        ColorJitter(0, 0.1), ColorJitter(0, 0, 0.1), ColorJitter(fields="mask"),
    ]  # fmt: skip
    assert len({transformer.version for transformer in ours}) == len(ours)
