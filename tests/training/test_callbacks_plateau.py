"""The learning rate is lowered when a metric stays. The judge of the rule is PyTorch's scheduler of the same name."""

import math

import pytest
import torch

from babel_dl.errors import ArgumentError, CallbackError
from babel_dl.training.callbacks import CheckpointCallback, LearningRateUpdateCallback, ReduceLROnPlateau
from babel_dl.training.optimizers import SGD
from babel_dl.training.optimizers.learning_rates import Const
from tests.training.examples import make_trainer, points

LOSSES = [1.0, 0.9, 0.9, 0.95, 0.899, 0.91, 0.92, 0.93, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.1, 0.2, 0.2, 0.2]


def rates_by_torch(losses, patience, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience - 1, threshold_mode="abs", **options)
    rates = []
    for loss in losses:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


class Alone:
    """What the callback needs of a trainer."""

    def __init__(self) -> None:
        self.optimizers = {"optimizer": SGD(1.0)}


def rates_of(callback, losses):
    trainer, rates = Alone(), []
    for loss in losses:
        callback.on_epoch_end(trainer, {"loss/total": loss})
        rates.append(trainer.optimizers["optimizer"].learning_rate)
    return rates


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_the_rate_falls_when_pytorch_lets_it_fall(patience, cooldown, min_delta):
    expected = rates_by_torch(LOSSES, patience, factor=0.5, cooldown=cooldown, min_lr=0.1, threshold=min_delta)
    callback = ReduceLROnPlateau(factor=0.5, patience=patience, cooldown=cooldown, min_lr=0.1, min_delta=min_delta)
    assert rates_of(callback, LOSSES) == pytest.approx(expected)
    assert len(set(expected)) > 1


def test_higher_may_be_better():
    expected = rates_by_torch([-loss for loss in LOSSES], 2, factor=0.1, mode="max", threshold=0.0)
    assert rates_of(ReduceLROnPlateau(patience=2, mode="max"), [-loss for loss in LOSSES]) == pytest.approx(expected)


def test_a_state_goes_on_where_another_was():
    whole = rates_of(ReduceLROnPlateau(patience=2, cooldown=1, factor=0.5), LOSSES)
    for cut in range(1, len(LOSSES)):
        first, second = ReduceLROnPlateau(patience=2, cooldown=1, factor=0.5), ReduceLROnPlateau(patience=2, cooldown=1, factor=0.5)
        begin = rates_of(first, LOSSES[:cut])
        second.load_state_dict(first.state_dict())
        assert [begin[-1] * rate for rate in rates_of(second, LOSSES[cut:])] == pytest.approx(whole[cut:])


def test_a_training_goes_on_with_the_lowered_rate_after_a_resume(backend, tmp_path):
    def trainer():
        plateau = ReduceLROnPlateau(patience=1, min_delta=math.inf)
        return make_trainer(callbacks=[plateau, CheckpointCallback(tmp_path)], optimizer=SGD(0.1, momentum=0.0))

    first = trainer()
    first.fit(points(), epochs=3)
    second = trainer()
    second.fit(points(), epochs=4, resume=True)
    assert first.optimizer.learning_rate == pytest.approx(1e-4)
    assert second.optimizer.learning_rate == pytest.approx(1e-5)


def test_a_rate_that_a_schedule_moves_is_not_lowered(backend):
    plateau = ReduceLROnPlateau()
    with pytest.raises(CallbackError, match="a schedule sets anew: the optimizer 'optimizer' follows one. Take one away."):
        make_trainer(callbacks=[plateau], optimizer=SGD(Const(0.1))).fit(points())
    with pytest.raises(CallbackError, match="a schedule sets anew: a LearningRateUpdateCallback follows one. Take one away."):
        make_trainer(callbacks=[plateau, LearningRateUpdateCallback(Const(0.1))]).fit(points())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"factor": 1.0}, "ReduceLROnPlateau needs a factor above 0 and below 1, and got 1.0"),
        ({"patience": 0}, "needs patience of at least 1, cooldown and min_lr of at least 0, and got patience=0"),
        ({"min_lr": -1.0}, "and got patience=10, cooldown=0, min_lr=-1.0"),
        ({"mode": "low"}, 'A metric is watched with mode "min" or "max", and got .low.'),
    ],
)
def test_a_setting_outside_of_its_range_is_refused(options, text):
    with pytest.raises(ArgumentError, match=text):
        ReduceLROnPlateau(**options)


def test_a_checkpoint_is_called_best_where_there_is_a_total_loss(backend, tmp_path, lines):
    class Parts(type(make_trainer())):
        def train_step(self, batch):
            return {"loss/part": super().train_step(batch)["loss/total"]}

    model = make_trainer()
    trainer = Parts(model.model, model.loss, model.optimizer, callbacks=[CheckpointCallback(tmp_path)])
    trainer.fit(points(), epochs=2)
    assert [path.name for path in tmp_path.iterdir() if "best" in path.name] == []
    assert (tmp_path / "latest.safetensors").exists()
    assert sum("No checkpoint is called best: there is no 'loss/total', only metrics/ca, loss/part." in line for line in lines) == 1
    asked = Parts(model.model, model.loss, model.optimizer, callbacks=[CheckpointCallback(tmp_path, monitor="loss/part")])
    asked.fit(points(), epochs=1)
    assert (tmp_path / "best.safetensors").exists()
    wrong = Parts(model.model, model.loss, model.optimizer, callbacks=[CheckpointCallback(tmp_path, monitor="loss/total")])
    with pytest.raises(CallbackError, match="There is no metric 'loss/total' to watch. Did you mean 'loss/part'"):
        wrong.fit(points(), epochs=1)
