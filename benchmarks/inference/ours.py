"""babel_dl: `trainer.predict` for many samples, `model.predict` for one."""

from __future__ import annotations

import numpy as np

from babel_dl.data import ArrayDataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.optimizers import SGD
from benchmarks.inference import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.ours import Classifier, CrossEntropy, Inputs, Outputs, enter


def contestant(setup: Setup) -> Contestant:
    """Predicts with the default settings."""
    enter(setup)
    images = task.images()
    loader = ArrayDataset(Inputs(images), Outputs(np.zeros(len(images), np.uint8))).to_dataloader(task.BATCH_SIZE, shuffle=False)
    model = Classifier(task.MODEL)
    trainer = SupervisedTrainer(model, CrossEntropy(), SGD(0.1), callbacks=[])
    trainer.predict(loader)
    return task.asked(lambda: trainer.predict(loader), lambda: model.predict(image=images[0]))
