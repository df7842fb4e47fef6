"""The same training by Lightning: its Trainer as it comes, logging loss and accuracy; and `barebones`, which measures but logs nothing."""

from __future__ import annotations

import logging
import math
import tempfile
import time
import warnings
from typing import Any

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.protocol import Answer, Contestant, Setup
from benchmarks.training import task
from benchmarks.training.native_torch import loaded


def contestant(setup: Setup) -> Contestant:
    """Trains by a new Trainer each round; an epoch goes before those that count."""
    model, (batch_size, _, epochs) = setup.workload, task.SETTINGS[setup.workload]
    steps, is_bare = task.SETTINGS[model].steps, setup.style == "barebones"
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    images, labels = task.arrays()
    data = TensorDataset(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels))
    loader, module = DataLoader(data, batch_size, shuffle=True, drop_last=True), Classifier(model, not is_bare)
    folder = tempfile.TemporaryDirectory()  # for its logs and checkpoints

    def run(number: int) -> Answer:
        options: dict[str, Any] = {"barebones": True} if is_bare else {"enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(max_epochs=1 + epochs, accelerator="cpu", default_root_dir=folder.name, **options)
        trainer.fit(module, loader)
        return Answer({model: module.seconds / (epochs * steps) * 1e6}, float(module.last))

    return run


class Classifier(lightning.LightningModule):
    """The network of a workload, as Lightning's manual writes one.

    Args:
        model: Which.
        logs: Whether to log loss and accuracy; barebones refuses it.

    Attributes:
        seconds: From the start of the second epoch to the end of the last.
        last: The loss of the last step.
    """

    def __init__(self, model: str, logs: bool) -> None:
        super().__init__()
        self.model, self.logs, self.net, self.criterion = model, logs, loaded(model), nn.CrossEntropyLoss()
        self.seconds, self.last = 0.0, torch.zeros(())

    def training_step(self, batch: Any, index: int) -> Any:
        """The loss."""
        x, y = batch[0].float(), batch[1].long()
        logits = self.net(x / 255.0 if self.model == "mlp" else x)
        loss = self.criterion(logits, y)
        hits = (logits.detach().argmax(1) == y).float().mean()
        if self.logs:
            self.log("loss", loss, on_step=False, on_epoch=True)
            self.log("accuracy", hits, on_step=False, on_epoch=True)
        self.last = loss.detach()
        return loss

    def configure_optimizers(self) -> Any:
        """The rule, and the schedule moved after each step."""
        rule: torch.optim.Optimizer
        if task.SETTINGS[self.model].rule == "adam":
            rule = torch.optim.Adam(self.parameters(), task.LEARNING_RATE, (task.BETA1, task.BETA2), task.EPS)
        else:
            rule = torch.optim.SGD(self.parameters(), task.LEARNING_RATE, momentum=task.MOMENTUM, nesterov=True)
        schedule = torch.optim.lr_scheduler.ExponentialLR(rule, math.exp(-task.DECAY))
        return {"optimizer": rule, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Starts the clock."""
        if self.current_epoch == 1:
            self._start = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Reads the clock."""
        if self.current_epoch:
            self.seconds = time.perf_counter() - self._start
