"""The pictures show what they say."""

import numpy as np
import pytest

from examples.shared import pictures
from examples.shared.pictures import Panel, draw_curves, draw_mistakes


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn, by name, instead of files."""
    drawn = {}
    monkeypatch.setattr(pictures, "log_image", lambda name, figure: drawn.update({name: figure}))
    return drawn


def test_mistakes_are_those_that_the_network_is_most_sure_of(figures):
    labels = np.array([0, 1, 2, 1])
    logits = np.array([[0.0, 2.0, 0.0], [0.0, 9.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.1, 0.0]])  # wrong, right, wrong and surer, right
    draw_mistakes(np.zeros((4, 28, 28)), labels, logits, ("zero", "one", "two"), "Test", "mistakes.png")
    titles = [axes.get_title() for axes in figures["mistakes.png"].axes]
    assert titles == ["zero 99%, is two", "one 79%, is zero"]
    assert figures["mistakes.png"].get_suptitle() == "Test: 2 of 4 wrong"


def test_a_panel_has_its_curves_counted_from_1(figures):
    draw_curves([Panel("loss", {"ours": [0.5, 0.25], "the post": [1.0]}), Panel("rate", {"OneCycle": [0.1]}, "step")], "curves.png")
    left, right = figures["curves.png"].axes
    assert [(line.get_label(), line.get_xydata().tolist()) for line in left.get_lines()] == [
        ("ours", [[1.0, 0.5], [2.0, 0.25]]),
        ("the post", [[1.0, 1.0]]),
    ]
    assert (left.get_xlabel(), left.get_ylabel(), right.get_xlabel(), right.get_ylabel()) == ("epoch", "loss", "step", "rate")
