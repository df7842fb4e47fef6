"""Accuracy by the shapes: of classes, of yes and no, and what leaves it open. The judge is numpy."""

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.training.metrics import Accuracy

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(20, 4)).astype(np.float32)
LABELS = RNG.integers(0, 4, 20)
LOGITS = RNG.normal(size=20).astype(np.float32)
YES = RNG.integers(0, 2, 20)


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("uint8")])
def test_classes_are_right_where_the_highest_score_is_the_label(backend, labels):
    np.testing.assert_array_equal(Accuracy()(SCORES, labels).numpy(), SCORES.argmax(axis=1) == LABELS)


@pytest.mark.parametrize("logits", [LOGITS, LOGITS[:, None]])
@pytest.mark.parametrize("truth", [YES, YES[:, None], YES.astype(bool), YES.astype("float32")])
def test_yes_and_no_are_right_on_their_side_of_zero(backend, logits, truth):
    found = Accuracy()(ops.asarray(logits), ops.asarray(truth)).numpy()
    assert found.shape == (20,)
    np.testing.assert_array_equal(found, (LOGITS > 0) == YES)


def test_classes_of_every_pixel_have_an_accuracy(backend):
    scores, labels = RNG.normal(size=(2, 3, 3, 5)).astype(np.float32), RNG.integers(0, 5, (2, 3, 3))
    np.testing.assert_array_equal(Accuracy()(scores, labels).numpy(), scores.argmax(axis=-1) == labels)


def test_what_may_be_one_class_or_many_answers_is_refused(backend):
    with pytest.raises(ShapeError, match=r"Accuracy cannot know what is right: y_pred and y_true both have shape \(20, 4\)"):
        Accuracy()(SCORES, np.eye(4, dtype=np.float32)[LABELS])


def test_shapes_and_structures_that_do_not_fit_are_refused(backend):
    with pytest.raises(ShapeError, match="got y_pred of shape .20, 4. and y_true of shape .3,."):
        Accuracy()(SCORES, LABELS[:3])
    with pytest.raises(ArgumentError, match="Accuracy compares two tensors, and got a dict"):
        Accuracy()({"y": ops.asarray(SCORES)}, ops.asarray(LABELS))
