"""Walks, curves, and the judge's file."""

import json

import numpy as np
import pytest

from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import write_checkpoint
from examples.mnist.curves import Curves
from examples.mnist.judge import load_judge
from examples.mnist.pictures import walk


class Standing:
    """Where a trainer stands in an epoch, for the callback: a position, and the means so far."""

    def __init__(self, position=0, losses=()):
        self.progress, self.metrics, self.step = self, self, position
        self.position, self.losses = position, losses

    def means(self):
        return {"loss": np.mean(self.losses)} if len(self.losses) else {}


@pytest.mark.parametrize("every", [1, 4, 7])
def test_curves_are_the_means_between_two_readings(every):
    rng = np.random.default_rng(0)
    losses, curves = rng.random((2, 10)), Curves()
    for epoch in losses:
        curves.on_train_start(Standing())
        for place in range(every, 11, every):
            curves.on_metrics(Standing(place), {"loss": epoch[:place].mean()})
        curves.on_train_end(Standing(10), {"loss": epoch.mean()})
    parts = [part.mean() for epoch in losses for part in np.split(epoch, range(every, 10, every))]
    assert curves.values["loss"] == pytest.approx(parts)
    assert len(curves.steps) == len(parts)


def test_curves_go_on_after_an_interruption():
    losses = np.random.default_rng(0).random(10)
    before, after = Curves(), Curves()
    before.on_train_start(Standing())
    before.on_metrics(Standing(4), {"loss": losses[:4].mean()})
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    after.on_train_start(Standing(6, losses[:6]))
    after.on_metrics(Standing(8), {"loss": losses[:8].mean()})
    after.on_train_end(Standing(10), {"loss": losses.mean()})
    assert after.values["loss"] == pytest.approx([losses[:4].mean(), losses[6:8].mean(), losses[8:].mean()])


def test_a_walk_goes_from_end_to_end_at_one_distance_from_the_origin():
    rng = np.random.default_rng(0)
    start = rng.normal(size=64)
    end = rng.normal(size=64)
    end *= np.linalg.norm(start) / np.linalg.norm(end)
    points = walk(start, end, 9)
    assert points[0] == pytest.approx(start) and points[-1] == pytest.approx(end)
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.full(9, np.linalg.norm(start)))
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps == pytest.approx(np.full(8, steps[0]))


def test_a_walk_to_where_one_stands_stays_there():
    point = np.ones(4)
    assert walk(point, point, 3) == pytest.approx(np.ones((3, 4)))


def test_a_checkpoint_without_a_model_is_no_judge(tmp_path, backend):
    write_checkpoint(tmp_path / "other.safetensors", {"generator/net/weight": np.zeros(3, np.float32)}, {})
    with pytest.raises(CheckpointError, match="holds no model. Give one that examples.mnist.classification wrote"):
        load_judge(tmp_path / "other.safetensors")


def test_a_checkpoint_of_another_model_is_refused(tmp_path, backend):
    write_checkpoint(tmp_path / "other.safetensors", {"model/net/weight": np.zeros(3, np.float32)}, {})
    with pytest.raises(CheckpointError, match="The values do not fit into SimpleConvClassifier"):
        load_judge(tmp_path / "other.safetensors")
