"""Gradients accumulated over micro-batches: four small batches move the weights as one large one does. PyTorch in float64 is the judge."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module
from babel_dl.model.layers import BatchNormalization, FullyConnected, LayerNorm, Sequential
from babel_dl.training import Trainer
from babel_dl.training.optimizers import SGD, Adam, Optimizer
from tests.training.duel import rows

COUNT, SMALL = 4, 3
RULES: dict[str, tuple[Callable[[], Optimizer], Callable[[Any], torch.optim.Optimizer], float | None]] = {
    "sgd": (lambda: SGD(0.125, momentum=0.0), lambda p: torch.optim.SGD(p, 0.125), None),
    "momentum": (lambda: SGD(0.125, momentum=0.5), lambda p: torch.optim.SGD(p, 0.125, 0.5, nesterov=True), None),
    "adam": (lambda: Adam(2.0**-7), lambda p: torch.optim.Adam(p, 2.0**-7), None),
    "clipped": (lambda: SGD(0.5, momentum=0.0, clip_norm=0.25), lambda p: torch.optim.SGD(p, 0.5), 0.25),
}


class Regression(Trainer):
    """Learns sums of four numbers."""

    def __init__(self, model: Module, rule: Optimizer, **options: Any) -> None:
        super().__init__(callbacks=[], **options)
        self.model, self.rule = model, rule

    def loss(self, batch: Any) -> Any:
        """The mean square of the distance."""
        return ops.mean(ops.square(self.model(batch[0].x) - batch[1].y))

    def train_step(self, batch: Any) -> Any:
        """On the whole model."""
        return self.minimize(lambda: self.loss(batch), over="model", using="rule")

    def evaluate_step(self, batch: Any) -> Any:
        """The loss."""
        return self.loss(batch)


def layers() -> Module:
    """No statistics of the batch, which small and large batches do not share."""
    return Sequential(FullyConnected(6, activation="tanh"), LayerNorm(), FullyConnected(1))


def by_hand(trainer: Regression) -> nn.Sequential:
    """The same model in PyTorch, in float64."""
    twin, values = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.LayerNorm(6), nn.Linear(6, 1)).double(), trainer.model.state_dict()
    with torch.no_grad():
        for ours, theirs in ((0, 0), (1, 2), (2, 3)):
            for name in ("weight", "bias"):
                getattr(twin[theirs], name).copy_(torch.from_numpy(values[f"/layers/{ours}/{name}"].T.copy()))
    return twin


def small_batches(num_moves: int) -> list[Any]:
    loader = rows(COUNT * SMALL * num_moves).to_dataloader(SMALL, shuffle=False)
    return list(loader.batches(0))


def weights_of(trainer: Any) -> dict[str, np.ndarray]:
    """All that learns, by attribute and path."""
    named = {f"{name}{path}": v for name, part in trainer.modules.items() for path, v in part.named_variables.items()}
    return {name: variable.numpy() for name, variable in named.items() if variable.is_parameter}


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("name", RULES)
def test_four_micro_batches_move_as_one_batch_does(backend: Backend, name: str, mode: str) -> None:
    make, make_twin, limit = RULES[name]
    trainer, batches = Regression(layers(), make(), accumulate=COUNT, compile=mode), small_batches(5)
    trainer.prepare(batches[0])
    twin = by_hand(trainer)
    rule = make_twin(twin.parameters())
    for start in range(0, len(batches), COUNT):
        group = batches[start : start + COUNT]
        x, y = (torch.from_numpy(np.concatenate([getattr(part, field) for part in parts])).double()
                for field, parts in (("x", [batch[0] for batch in group]), ("y", [batch[1] for batch in group])))
        loss = F.mse_loss(twin(x), y)
        found = []
        for place, batch in enumerate(group):
            before = weights_of(trainer)
            found.append(float(trainer.backend.to_numpy(trainer.compiled_train_step(batch)["loss/total"])))
            trainer.progress.step += 1
            has_moved = any(before[path].tobytes() != value.tobytes() for path, value in weights_of(trainer).items())
            assert has_moved == (place == COUNT - 1)
        assert np.mean(found) == pytest.approx(loss.item(), rel=1e-5)
        rule.zero_grad()
        loss.backward()
        if limit is not None:
            nn.utils.clip_grad_norm_(twin.parameters(), limit)
        rule.step()
        ours = trainer.model.state_dict()
        for ours_at, theirs_at in ((0, 0), (1, 2), (2, 3)):
            np.testing.assert_allclose(ours[f"/layers/{ours_at}/weight"], twin[theirs_at].weight.detach().numpy().T, rtol=1e-4, atol=2e-6)
            np.testing.assert_allclose(ours[f"/layers/{ours_at}/bias"], twin[theirs_at].bias.detach().numpy(), rtol=1e-4, atol=2e-6)


class Two(Trainer):
    """Two optimizers over scopes that overlap, with gradients of different losses: each has sums of its own."""

    def __init__(self, **options: Any) -> None:
        rules = {"first": SGD(0.125, momentum=0.0), "second": SGD(0.0625, momentum=0.5, nesterov=False)}
        super().__init__(callbacks=[], optimizers=rules, **options)
        self.left, self.right = FullyConnected(1, use_bias=False), FullyConnected(1, use_bias=False)

    def train_step(self, batch: Any) -> Any:
        """One loss over both, one over the right alone."""
        x, y, both = batch[0].x, batch[1].y, [self.left, self.right]
        loss = self.minimize(lambda: ops.mean(ops.square(self.left(x) + self.right(x) - y)), over=both, using="first")
        self.minimize(lambda: ops.mean(ops.square(self.right(x) + y)), over="right", using="second")
        return loss

    def evaluate_step(self, batch: Any) -> Any:
        """Nothing."""
        return ops.zeros(())


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_each_optimizer_accumulates_by_itself(backend: Backend, mode: str) -> None:
    trainer, batches = Two(accumulate=COUNT, compile=mode), small_batches(4)
    trainer.prepare(batches[0])
    left, right = (part.weight.numpy().astype(np.float64) for part in (trainer.left, trainer.right))
    momentum = np.zeros_like(right)
    for start in range(0, len(batches), COUNT):
        group = batches[start : start + COUNT]
        x, y = np.concatenate([b[0].x for b in group]).astype(np.float64), np.concatenate([b[1].y for b in group])
        for batch in group:
            trainer.compiled_train_step(batch)
            trainer.progress.step += 1
        of_both = 2 * x.T @ (x @ (left + right) - y) / len(x)
        # The gradient of the last micro-batch's second loss is taken behind the first update.
        behind = right - 0.125 * of_both
        last = group[-1][0].x.astype(np.float64), group[-1][1].y
        slopes = [2 * b[0].x.T.astype(np.float64) @ (b[0].x @ right + b[1].y) / SMALL for b in group[:-1]]
        slopes.append(2 * last[0].T @ (last[0] @ behind + last[1]) / SMALL)
        momentum = 0.5 * momentum + np.mean(slopes, axis=0)
        left, right = left - 0.125 * of_both, behind - 0.0625 * momentum
        np.testing.assert_allclose(trainer.left.weight.numpy(), left, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(trainer.right.weight.numpy(), right, rtol=1e-4, atol=1e-6)


def test_running_statistics_move_with_each_micro_batch(backend: Backend) -> None:
    trainer, batches = Regression(Sequential(BatchNormalization(), FullyConnected(1)), SGD(0.1), accumulate=COUNT), small_batches(1)
    trainer.prepare(batches[0])
    mean = np.zeros(4)
    for count, batch in enumerate(batches, 1):
        trainer.compiled_train_step(batch)
        trainer.progress.step += 1
        mean += 0.1 * (batch[0].x.mean(0) - mean)
        assert trainer.model.layers[0].num_batches_tracked.item() == count
        np.testing.assert_allclose(trainer.model.layers[0].running_mean.numpy(), mean, rtol=1e-4, atol=1e-6)


def test_fit_moves_once_for_each_group_over_the_end_of_an_epoch(backend: Backend) -> None:
    """Six batches in an epoch, groups of four: the second group begins in the first epoch and ends in the second."""
    trainer, data = Regression(layers(), SGD(0.125, momentum=0.0), accumulate=COUNT), rows(6 * SMALL)
    trainer.fit(data.to_dataloader(SMALL, shuffle=False), epochs=2)
    plain = Regression(layers(), SGD(0.125, momentum=0.0))
    loader = data.to_dataloader(SMALL, shuffle=False)
    order = [*loader.batches(0), *loader.batches(1)]
    plain.prepare(order[0])
    for start in range(0, 12, COUNT):
        group = order[start : start + COUNT]
        inputs, outputs = type(group[0][0]), type(group[0][1])
        plain.compiled_train_step((inputs(np.concatenate([b[0].x for b in group])), outputs(np.concatenate([b[1].y for b in group]))))
        plain.progress.step += 1
    for path, value in weights_of(plain).items():
        np.testing.assert_allclose(weights_of(trainer)[path], value, rtol=1e-4, atol=1e-6)
