"""The table and the file of a run."""

import json

from babel_dl.core import logging
from examples.shared.report import table, write_metrics


def test_the_columns_of_a_table_stand_in_line():
    lines = table(("model", "the post", "ours"), [("linear", 0.92512, 0.5), ("a long name", None, 12)]).splitlines()
    assert lines == [
        "| model       | the post |   ours |",
        "| ----------- | -------- | ------ |",
        "| linear      |   0.9251 | 0.5000 |",
        "| a long name |          |     12 |",
    ]


def test_metrics_say_on_what_they_were_measured(tmp_path, backend):
    logging.set_logger(tmp_path / "log.txt")
    try:
        path = write_metrics("mnist_lab", "mini", {"accuracy": 0.5})
    finally:
        logging.set_logger(None)
    assert path == tmp_path / "metrics.json"
    assert json.loads(path.read_text()) == {"example": "mnist_lab", "backend": backend, "data": "mini", "seed": 0, "accuracy": 0.5}
