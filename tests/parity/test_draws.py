"""Everything that is drawn: the same bits on every backend, and the same bits as when the digests below were written down.

A digest that fails means that old seeds give other numbers than they did: results of users can no longer be repeated. Change one only
on purpose, with a line in the changelog.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import pytest

import babel_dl
from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.data import RandomCrop, RandomFlip
from babel_dl.model.layers import Dropout
from tests.parity.template import DropoutModel, FashionMnistModel, make_config, make_data
from tests.parity.twin import dropout_masks

WEIGHTS = {
    0: "cddc766c05add6fc486b6f5ceab4a4e6cf081fc2ac56a720e95d0a63dbd5a741",
    20: "2752c4f5772a105304820142d4e663a75cf3664826e1781053fede97f4e37607",
}
ORDER = {
    (0, 0): "665621d765bb6a9418d20047e36bab4ecf94c6329b17cf6949fdae78518116da",
    (0, 1): "e92c7f0857adac07fcae250c3fa37887041025ab2fb1e2490d8dcb235b0be21a",
    (7, 0): "18818b886028c8823570811cd2b62dd178a1d012eebd426f1a7014b278a80bd8",
}
AUGMENTED = {
    (0, 0): "dd74e5e0a158ab381f1290898018c85c996d5ca4dc9648368f0c983bce30e903",
    (0, 1): "94795afa4344967a6cef2a1bbb534df9306c8bd4ded62393ee1111254289b1fb",
    (7, 0): "2fdaa421a36ea540991214042b27b0f11958d25091cc67b98401c4035a8a6682",
}
MASKS = "5ec7ff6f0d3ff756c68739483451477402c5c255cb138b55601f301e561c33d7"


def digest(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """SHA-256 of names, types, shapes and bytes."""
    sha256 = hashlib.sha256()
    for name, array in arrays:
        sha256.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


@pytest.mark.parametrize("seed", WEIGHTS)
def test_initial_weights_are_the_same_bits_everywhere(backend: Backend, seed: int):
    with babel_dl.use_seed(seed):
        model = FashionMnistModel(make_config()).initialize(make_data(1))
    assert digest(sorted(model.state_dict().items())) == WEIGHTS[seed]


def test_a_model_keeps_its_seed_until_it_is_built(backend: Backend):
    with babel_dl.use_seed(20):
        model = FashionMnistModel(make_config())
    assert digest(sorted(model.initialize(make_data(1)).state_dict().items())) == WEIGHTS[20]


def test_a_layer_more_changes_no_other_initial_weight(backend: Backend):
    one, sample = make_config(), make_data(1)
    plain, longer = FashionMnistModel(one).initialize(sample).state_dict(), DropoutModel(one).initialize(sample).state_dict()
    assert {path for path in plain if not np.array_equal(plain[path], longer.get(path))} == {"/linear/20/weight", "/linear/20/bias"}


@pytest.mark.parametrize(("seed", "epoch"), ORDER)
def test_samples_come_in_the_same_order_everywhere(backend: Backend, seed: int, epoch: int):
    batches = make_data(500).to_dataloader(seed=seed).batches(epoch)
    assert digest((name, array) for batch in batches for part in batch for name, array in part._asdict().items()) == ORDER[seed, epoch]


@pytest.mark.parametrize(("seed", "epoch"), AUGMENTED)
def test_augmentation_draws_the_same_bits_everywhere(backend: Backend, seed: int, epoch: int):
    data = make_data(80)
    data.realtime_transformers += [RandomCrop(28, padding=2), RandomFlip()]
    batches = data.to_dataloader(seed=seed).batches(epoch)
    assert digest(("image", inputs.image) for inputs, _ in batches) == AUGMENTED[seed, epoch]


@pytest.mark.parametrize("is_compiled", [False, True])
def test_dropout_draws_the_same_masks_everywhere(backend: Backend, is_compiled: bool):
    with babel_dl.use_seed(3):
        layer = Dropout(0.25).build_from(np.ones((4, 50), np.float32))
    run = babel_dl.compile(layer) if is_compiled else layer
    masks = [run(ops.ones((4, 50))).numpy() != 0 for _ in range(3)]
    assert digest([("mask", np.array(masks))]) == MASKS


def test_dropout_masks_are_those_of_the_description(backend: Backend):
    with babel_dl.use_seed(3):
        layer = Dropout(0.25)
    kept = dropout_masks(3, "", 0.25)
    for shape in [(4, 50), (7,), (2, 3, 5, 4)]:
        assert np.array_equal(layer(ops.ones(shape)).numpy() != 0, kept(shape).numpy())
