"""Brings data, model and loss together."""

import os

from configs.fashion_mnist import FashionMnistConfig
from datasets.fashion_mnist import make_dataset
from models.fashion_mnist import FashionMnistModel
from training.loss import FashionMnistLoss
from training.pictures import draw_confusion, draw_history, draw_samples

import babel_dl
from babel_dl import SPLIT_DEV, SPLIT_TRAIN
from babel_dl.core import logging
from babel_dl.training import SupervisedTrainer
from babel_dl.training.callbacks import (
    CheckpointCallback,
    HistoryCallback,
    LearningRateUpdateCallback,
    LogCallback,
    ProgressBar,
)
from babel_dl.training.optimizers import SGD


def train(config: FashionMnistConfig, resume: str | None = None) -> dict[str, float]:
    """Trains, and writes pictures of data, predictions, curves and confusions into the folder of the run.

    Args:
        config: All choices.
        resume: A checkpoint to go on from; None to start fresh.

    Returns:
        Loss and accuracy on the dev data after the last epoch.
    """
    babel_dl.set_seed(config.train_seed)
    config.save(os.path.join(logging.get_log_path(), "config.json"))
    data_train, data_dev = make_dataset(config, SPLIT_TRAIN), make_dataset(config, SPLIT_DEV)
    draw_samples(data_train, None, "Training data", "training_data.png")
    draw_samples(data_dev, None, "Dev data", "dev_data.png")

    model = FashionMnistModel(config)
    model.initialize(data_train)
    draw_samples(data_dev, model, "Predictions before training", "dev_predictions_before.png")

    history = HistoryCallback()
    schedule = config.train_learning_rate_shedule
    trainer = SupervisedTrainer(
        model=model,
        loss=FashionMnistLoss(),
        optimizer=SGD(initial_lr=schedule.initial_lr, momentum=config.train_momentum),
        callbacks=[ProgressBar(), LogCallback(), CheckpointCallback(), history, LearningRateUpdateCallback(schedule)],
        config=config,
    )
    metrics = trainer.fit(data_train.to_dataloader(), data_dev.to_dataloader(shuffle=False), config.train_epochs, resume=resume or False)

    draw_samples(data_dev, model, "Predictions after training", "dev_predictions_after.png")
    draw_history(history.rows, "curves.png")
    draw_confusion(data_dev, trainer.predict(data_dev), "confusion.png")
    return metrics
