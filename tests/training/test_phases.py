"""What happens only every so often: n steps of a critic for one of the generator, and gradients that add up over steps."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.errors import ArgumentError
from babel_dl.training import Trainer
from babel_dl.training.callbacks import HistoryCallback
from babel_dl.training.optimizers import SGD, Adam
from babel_dl.training.optimizers.learning_rates import Const, LinearWarmUp, OneCycle
from tests.training.duel import Duel, net, rows


def counts_of(trainer: Trainer) -> dict[str, int]:
    """The steps that each optimizer counts."""
    return {name: int(optimizer.named_variables["step"].numpy()) for name, optimizer in trainer.optimizers.items()}


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_the_generator_moves_once_for_three_steps_of_the_critic(backend, mode):
    trainer = Duel(every=3, compile=mode)
    metrics = trainer.fit(rows(40).to_dataloader(4), epochs=1)
    assert counts_of(trainer) == {"optimizers/generator": 4, "optimizers/critic": 10}
    assert set(metrics) == {"loss/critic", "loss/generator"}


def test_an_offset_says_which_of_the_steps(backend):
    class Late(Duel):
        def every(self, period: int, offset: int = 0) -> bool:
            return super().every(period, 2)

    trainer = Late(every=3)
    trainer.fit(rows(40).to_dataloader(4), epochs=1)
    assert counts_of(trainer)["optimizers/generator"] == 3


def test_a_period_in_a_branch_that_was_not_taken_at_first_is_found_later(backend):
    class Nested(Duel):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x = batch[0].x
            fake = ops.stop_gradient(self.fake(len(x)))
            if self.every(2):
                return {"c": self.minimize(lambda: ops.softplus(self.critic(fake)).mean(), over="critic")}
            if self.every(3):
                return {"g": self.minimize(lambda: ops.softplus(-self.critic(self.fake(len(x)))).mean(), over="generator")}
            return {}

    trainer = Nested()
    with pytest.raises(ArgumentError, match="every"):
        trainer.every(0)
    trainer.fit(rows(48).to_dataloader(4), epochs=1)
    assert counts_of(trainer) == {"optimizers/generator": 2, "optimizers/critic": 6}  # steps 3, 9; steps 0, 2, 4, 6, 8, 10


class Line(Trainer):
    """One layer, one optimizer."""

    def __init__(self, optimizer: Any, **options: Any) -> None:
        super().__init__(callbacks=options.pop("callbacks", []), **options)
        self.layer, self.rule = net(5, 1), optimizer

    def train_step(self, batch: Any) -> Any:
        return self.minimize(lambda: self.loss(batch))

    def loss(self, batch: Any) -> Any:
        """Squared distance. In evaluation mode, so that batch statistics do not depend on the size of the batch."""
        self.layer.eval()
        return ops.square(self.layer(batch[0].x) - batch[1].y).mean()

    def evaluate_step(self, batch: Any) -> Any:
        return self.loss(batch)


@pytest.mark.parametrize("rule", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.01), lambda: Adam(0.01, clip_norm=0.1)])
def test_four_small_batches_move_like_one_large_batch(backend, rule):
    small, large = Line(rule(), accumulate=4), Line(rule())
    small.fit(rows(48).to_dataloader(4, shuffle=False), epochs=2)
    large.fit(rows(48).to_dataloader(16, shuffle=False), epochs=2)
    assert small.step == 4 * large.step == 24
    for name, value in large.layer.state_dict().items():
        np.testing.assert_allclose(small.layer.state_dict()[name], value, rtol=2e-5, atol=2e-6)
    assert all(not np.any(total.numpy()) for total in small.accumulated.values())


def test_what_is_accumulated_is_saved_and_resumed(backend, tmp_path):
    straight, first, second = (Line(SGD(0.1), accumulate=4) for _ in range(3))
    data = rows(48).to_dataloader(4)
    straight.fit(data, steps=10)
    first.fit(data, steps=6)
    first.save(tmp_path / "half.safetensors")
    assert any(np.any(total.numpy()) for total in first.accumulated.values())
    second.fit(data, steps=10, resume=tmp_path / "half.safetensors")
    for name, value in straight.layer.state_dict().items():
        np.testing.assert_array_equal(second.layer.state_dict()[name], value)


def test_accumulation_and_periods_exclude_each_other():
    with pytest.raises(ArgumentError, match="every\\(n\\) and accumulate do not go together"):
        Duel(accumulate=2).fit(rows())
    with pytest.raises(ArgumentError, match="needs accumulate of at least 1, and got 0"):
        Duel(accumulate=0)


def test_each_optimizer_follows_its_own_schedule(backend):
    schedules = {"generator": LinearWarmUp(Const(0.2), num_steps=4), "critic": Const(0.3)}
    seen: list[tuple[float, float]] = []

    class Rates(HistoryCallback):
        def on_step_end(self, trainer: Any) -> None:
            seen.append((trainer.named_optimizer("generator").learning_rate, trainer.named_optimizer("critic").learning_rate))

    trainer = Duel(optimizers={name: SGD(schedule) for name, schedule in schedules.items()}, callbacks=[Rates()])
    trainer.fit(rows().to_dataloader(4), epochs=1)
    assert seen == [(schedules["generator"](step), 0.3) for step in range(6)]
    assert float(trainer.named_optimizer("generator").named_variables["learning_rate"].numpy()) == np.float32(0.2)


def test_a_cycle_moves_the_momentum_in_compiled_steps_too(backend):
    cycle = OneCycle(max_lr=0.1, num_steps=6)
    trainer = Line(SGD(cycle, momentum=0.9))
    trainer.fit(rows().to_dataloader(4), epochs=1)
    state = trainer.rule.named_variables
    assert float(state["momentum"].numpy()) == np.float32(cycle.momentum(5))
    assert float(state["learning_rate"].numpy()) == np.float32(cycle(5))


def test_one_adam_counts_the_steps_of_each_scope_apart(backend):
    class Shared(Duel):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x = batch[0].x
            return {
                "c": self.minimize(lambda: ops.softplus(self.critic(x)).mean(), over="critic", using="both"),
                "g": self.minimize(lambda: ops.square(self.fake(len(x))).mean(), over="generator", using="both"),
            }

    class Apart(Shared):
        def minimize(self, fn: Any, over: Any = None, using: Any = None, has_aux: bool = False) -> Any:
            return super().minimize(fn, over, over, has_aux)

    one, two = Shared(optimizers={"both": Adam(0.01)}), Apart(optimizers={"critic": Adam(0.01), "generator": Adam(0.01)})
    for trainer in (one, two):
        trainer.fit(rows().to_dataloader(4), epochs=1)
    for name in ("critic", "generator"):
        for path, value in getattr(two, name).state_dict().items():
            np.testing.assert_array_equal(getattr(one, name).state_dict()[path], value)
    assert {name for name in one.named_optimizer("both").named_variables if name.startswith("step")} == {"step", "step/1"}
