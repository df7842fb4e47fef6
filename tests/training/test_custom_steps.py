"""What a step of one's own can do: scopes that overlap, by-products, gradients in losses, turns, own losses. numpy and PyTorch judge."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable, grad, value_and_grad
from babel_dl.data import ArrayDataset
from babel_dl.errors import GradientError
from babel_dl.model.layers import FullyConnected, Sequential
from babel_dl.training import Trainer
from babel_dl.training.losses import Loss
from babel_dl.training.optimizers import SGD, Adam

Inputs, Outputs = namedtuple("Inputs", ["x"]), namedtuple("Outputs", ["y"])
MODES = pytest.mark.parametrize("mode", ["auto", "off"])


def rows(count: int = 24) -> ArrayDataset:
    """Three columns, and a plane over them."""
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return ArrayDataset(Inputs(x), Outputs(x @ np.float32([[1.0], [-2.0], [0.5]])), version=f"plane-{count}")


BATCHES = list(rows().to_dataloader(4, shuffle=False).batches(0))


class Steps(Trainer):
    """A trainer whose step is given; it evaluates nothing.

    Args:
        step: Gets the trainer and the batch.
        parts: Modules, variables and optimizers by attribute.
        mode: How to compile.
    """

    def __init__(self, step: Callable[[Any, Any], Any], parts: dict[str, Any], mode: str = "auto", **options: Any) -> None:
        super().__init__(callbacks=[], compile=mode, **options)
        self.call_step = step
        for name, part in parts.items():
            setattr(self, name, part)
        self.prepare(BATCHES[0])

    def train_step(self, batch: Any) -> Any:
        """The given one."""
        return self.call_step(self, batch)

    def evaluate_step(self, batch: Any) -> Any:
        """Nothing."""
        return ops.zeros(())

    def run(self, batches: Any = BATCHES) -> list[dict[str, float]]:
        """The numbers of each step."""
        found = []
        for batch in batches:
            values = self.compiled_train_step(batch)
            self.progress.step += 1
            found.append({name: float(self.backend.to_numpy(value)) for name, value in values.items()})
        return found


# -------------------------------------------------------------------- overlapping scopes


@MODES
def test_optimizers_over_overlapping_scopes_have_their_own_state_and_move_in_the_order_of_the_calls(backend: Backend, mode: str) -> None:
    """The second gradient is taken where the first optimizer left the weight, and neither sees the other's momentum."""

    def step(trainer: Any, batch: Any) -> Any:
        first = trainer.minimize(lambda: trainer.w**2 * trainer.v, over=[trainer.w, trainer.v], using="first")
        second = trainer.minimize(lambda: ops.sin(trainer.w), over=trainer.w, using="second")
        return {"first": first, "second": second}

    rules = {"first": SGD(0.1, momentum=0.5, nesterov=False), "second": SGD(0.05, momentum=0.9, nesterov=False)}
    trainer = Steps(step, {"w": Variable(1.5, path="w"), "v": Variable(0.5, path="v")}, mode, optimizers=rules)
    w, v, kept = 1.5, 0.5, {"w1": 0.0, "v1": 0.0, "w2": 0.0}
    for found in trainer.run():
        assert found["first"] == pytest.approx(w**2 * v, rel=1e-5)
        kept["w1"], kept["v1"] = 0.5 * kept["w1"] + 2 * w * v, 0.5 * kept["v1"] + w**2
        w, v = w - 0.1 * kept["w1"], v - 0.1 * kept["v1"]
        assert found["second"] == pytest.approx(np.sin(w), rel=1e-5)
        kept["w2"] = 0.9 * kept["w2"] + np.cos(w)
        w -= 0.05 * kept["w2"]
    assert (trainer.w.item(), trainer.v.item()) == (pytest.approx(w, rel=1e-5), pytest.approx(v, rel=1e-5))
    assert rules["first"].named_variables["momentum/w"].item() == pytest.approx(kept["w1"], rel=1e-5)
    assert rules["second"].named_variables["momentum/w"].item() == pytest.approx(kept["w2"], rel=1e-5)


def test_the_order_of_the_calls_counts(backend: Backend) -> None:
    def trained(names: list[str]) -> float:
        def step(trainer: Any, batch: Any) -> Any:
            losses = {"up": lambda: trainer.w**2, "down": lambda: ops.exp(-trainer.w)}
            return {name: trainer.minimize(losses[name], over=trainer.w, using=name) for name in names}

        trainer = Steps(step, {"w": Variable(1.5)}, optimizers={"up": SGD(0.3, momentum=0.0), "down": SGD(0.2, momentum=0.0)})
        trainer.run(BATCHES[:1])
        return trainer.w.item()

    after_up = 1.5 - 0.3 * 3.0
    assert trained(["up", "down"]) == pytest.approx(after_up + 0.2 * np.exp(-after_up), rel=1e-6)
    after_down = 1.5 + 0.2 * np.exp(-1.5)
    assert trained(["down", "up"]) == pytest.approx(after_down - 0.3 * 2 * after_down, rel=1e-6)


@MODES
def test_one_optimizer_may_serve_two_scopes_that_overlap(backend: Backend, mode: str) -> None:
    """A weight in both has one momentum, which both calls move."""

    def step(trainer: Any, batch: Any) -> Any:
        trainer.minimize(lambda: trainer.w**2 * trainer.v, over=[trainer.w, trainer.v], using=trainer.rule)
        return trainer.minimize(lambda: ops.sin(trainer.w), over=trainer.w, using=trainer.rule)

    parts = {"w": Variable(1.5, path="w"), "v": Variable(0.5, path="v"), "rule": SGD(0.1, momentum=0.5, nesterov=False)}
    trainer = Steps(step, parts, mode)
    w, v, of_w, of_v = 1.5, 0.5, 0.0, 0.0
    for _ in trainer.run():
        of_w, of_v = 0.5 * of_w + 2 * w * v, 0.5 * of_v + w**2
        w, v = w - 0.1 * of_w, v - 0.1 * of_v
        of_w = 0.5 * of_w + np.cos(w)
        w -= 0.1 * of_w
    assert (trainer.w.item(), trainer.v.item()) == (pytest.approx(w, rel=1e-5), pytest.approx(v, rel=1e-5))


# -------------------------------------------------------------------- by-products, gradients as values


@MODES
def test_by_products_leave_the_loss_with_the_values_before_the_update(backend: Backend, mode: str) -> None:
    def step(trainer: Any, batch: Any) -> Any:
        def loss() -> Any:
            answer = trainer.w * batch[0].x
            return ops.mean(ops.square(answer)), {"mean": ops.mean(answer), "all": (answer, [None, "kept"])}

        value, aux = trainer.minimize(loss, over=trainer.w, using=trainer.rule, has_aux=True)
        if aux["all"][1] != [None, "kept"]:
            raise ValueError("constants of a by-product did not come out")
        return {"loss": value, "mean": aux["mean"], "last": aux["all"][0][-1, -1]}

    trainer = Steps(step, {"w": Variable(1.5), "rule": SGD(0.1, momentum=0.0)}, mode)
    w = 1.5
    for found, batch in zip(trainer.run(), BATCHES, strict=True):
        x = batch[0].x.astype(np.float64)
        assert found == pytest.approx({"loss": (w * x**2 * w).mean(), "mean": (w * x).mean(), "last": w * x[-1, -1]}, rel=1e-4)
        w -= 0.1 * (2 * w * x**2).mean()


@MODES
def test_a_gradient_in_a_loss_is_differentiated_again(backend: Backend, mode: str) -> None:
    """loss = (dE/dw)**2 for E = w**3 x, by a nested call over the same variable: the update follows 2 * 3 w**2 x * 6 w x."""

    def step(trainer: Any, batch: Any) -> Any:
        x = batch[0].x[0, 0]

        def loss() -> Any:
            value, (slope,) = value_and_grad(lambda: trainer.w**3 * x, trainer.w)
            return slope * slope + 0.0 * value

        return trainer.minimize(loss, over=trainer.w, using=trainer.rule)

    trainer = Steps(step, {"w": Variable(0.9), "rule": SGD(0.01, momentum=0.0)}, mode)
    w = 0.9
    for found, batch in zip(trainer.run(), BATCHES, strict=True):
        x = float(batch[0].x[0, 0])
        assert found["loss/total"] == pytest.approx((3 * w**2 * x) ** 2, rel=1e-4)
        w -= 0.01 * 2 * (3 * w**2 * x) * (6 * w * x)
    assert trainer.w.item() == pytest.approx(w, rel=1e-5)


@MODES
def test_gradients_are_values_that_a_step_may_change_before_it_applies_them(backend: Backend, mode: str) -> None:
    """A step by hand: the gradient's sign alone moves the weight (signSGD)."""

    def step(trainer: Any, batch: Any) -> Any:
        value, (slope,) = value_and_grad(lambda: ops.mean(ops.square(trainer.w - batch[1].y)), trainer.w)
        trainer.rule.apply([ops.sign(slope)], [trainer.w])
        return {"loss": value, "slope": ops.abs(slope)}

    trainer = Steps(step, {"w": Variable(1.5), "rule": SGD(0.25, momentum=0.0)}, mode)
    w = 1.5
    for found, batch in zip(trainer.run(), BATCHES, strict=True):
        slope = 2 * (w - batch[1].y).mean()
        assert found["slope"] == pytest.approx(abs(slope), rel=1e-4)
        w -= 0.25 * np.sign(slope)
    assert trainer.w.item() == w


# -------------------------------------------------------------------- WGAN-GP


class Critic(nn.Module):
    """The critic by hand."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 1)]).double()
        with torch.no_grad():
            for place, layer in enumerate(self.layers):
                layer.weight.copy_(torch.from_numpy(weights[f"/layers/{place}/weight"].T.copy()))
                layer.bias.copy_(torch.from_numpy(weights[f"/layers/{place}/bias"]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        first, second, last = self.layers
        return last(torch.tanh(second(torch.tanh(first(x)))))


def wgan_step(trainer: Any, batch: Any) -> dict[str, Any]:
    """Three steps of the critic for one of the generator; the slope is taken between real and false points."""
    real = batch[0].x
    fake = ops.stop_gradient(trainer.generator(batch[1].y))
    mix = real * 0.25 + fake * 0.75

    def critic_loss() -> tuple[Any, Any]:
        slope = grad(lambda x: ops.sum(trainer.critic(x)), mix)
        penalty = ops.mean(ops.square(ops.sqrt(ops.sum(ops.square(slope), 1)) - 1))
        return ops.mean(trainer.critic(fake)) - ops.mean(trainer.critic(real)) + 10 * penalty, penalty

    value, penalty = trainer.minimize(critic_loss, over="critic", has_aux=True)
    numbers = {"critic": value, "penalty": penalty}
    if trainer.every(3):
        numbers["generator"] = trainer.minimize(lambda: -ops.mean(trainer.critic(trainer.generator(batch[1].y))), over="generator")
    return numbers


def twin_of_wgan(generator: nn.Module, critic: nn.Module) -> list[dict[str, float]]:
    """The same by hand, as it is written everywhere."""
    rules = [torch.optim.Adam(part.parameters(), lr=2.0**-7, betas=(0.5, 0.9)) for part in (generator, critic)]
    found = []
    for step, batch in enumerate(BATCHES):
        real, noise = (torch.from_numpy(array).double() for array in (batch[0].x, batch[1].y))
        fake = generator(noise).detach()
        mix = (real * 0.25 + fake * 0.75).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mix).sum(), mix, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        rules[1].zero_grad()
        loss.backward()
        rules[1].step()
        found.append({"critic": loss.item(), "penalty": penalty.item()})
        if step % 3 == 0:
            loss = -critic(generator(noise)).mean()
            rules[0].zero_grad()
            loss.backward()
            rules[0].step()
            found[-1]["generator"] = loss.item()
    return found


@MODES
def test_a_wgan_with_gradient_penalty_and_turns_is_that_of_a_hand_written_loop(backend: Backend, mode: str) -> None:
    def critic_layers() -> Module:
        return Sequential(FullyConnected(8, activation="tanh"), FullyConnected(8, activation="tanh"), FullyConnected(1))

    rules = {name: Adam(2.0**-7, beta1=0.5, beta2=0.9) for name in ("generator", "critic")}
    trainer = Steps(wgan_step, {"generator": FullyConnected(3), "critic": critic_layers()}, mode, optimizers=rules)
    weights = trainer.generator.state_dict()
    generator = nn.Linear(1, 3).double()
    with torch.no_grad():
        generator.weight.copy_(torch.from_numpy(weights["/weight"].T.copy()))
        generator.bias.copy_(torch.from_numpy(weights["/bias"]))
    critic = Critic(trainer.critic.state_dict())
    found, expected = trainer.run(), twin_of_wgan(generator, critic)
    assert [set(row) for row in found] == [set(row) for row in expected]
    for step, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6), step
    np.testing.assert_allclose(trainer.critic.layers[0].weight.numpy(), critic.layers[0].weight.detach().numpy().T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(trainer.generator.bias.numpy(), generator.bias.detach().numpy(), rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------- turns


@MODES
@pytest.mark.parametrize("period", [1, 2, 5])
def test_n_critic_steps_come_for_one_of_the_generator(backend: Backend, period: int, mode: str) -> None:
    """critic: c -= 0.1 (c - g); every n-th step, from the first: g += 0.5 c."""

    def step(trainer: Any, batch: Any) -> Any:
        numbers = {"critic": trainer.minimize(lambda: 0.5 * (trainer.c - trainer.g) ** 2, over=trainer.c, using="critic")}
        if trainer.every(period):
            numbers["generator"] = trainer.minimize(lambda: -trainer.c * trainer.g, over=trainer.g, using="generator")
        return numbers

    rules = {"critic": SGD(0.1, momentum=0.0), "generator": SGD(0.5, momentum=0.0)}
    trainer = Steps(step, {"c": Variable(1.0, path="c"), "g": Variable(-0.5, path="g")}, mode, optimizers=rules)
    c, g = 1.0, -0.5
    for number, found in enumerate(trainer.run(BATCHES * 2)):
        assert ("generator" in found) == (number % period == 0)
        c -= 0.1 * (c - g)
        g += 0.5 * c * (number % period == 0)
    assert (trainer.c.item(), trainer.g.item()) == (pytest.approx(c, rel=1e-5), pytest.approx(g, rel=1e-5))


# -------------------------------------------------------------------- own losses


class Huber(Loss):
    """A loss of one's own, with a weight that learns and parts that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = Variable(1.0, path="/scale")

    def call(self, y_pred: Any, y_true: Any) -> Any:
        """Smooth near 0, straight beyond 1."""
        distance = ops.abs(y_pred - y_true) * self.scale
        self.log("metrics/far", ops.mean((distance > 1).astype("float32")))
        small = ops.where(distance < 1, 0.5 * ops.square(distance), distance - 0.5)
        return ops.mean(small) - 0.1 * ops.log(self.scale)


@MODES
def test_a_loss_of_ones_own_learns_with_the_model_and_logs(backend: Backend, mode: str) -> None:
    def step(trainer: Any, batch: Any) -> Any:
        return trainer.minimize(lambda: trainer.loss(trainer.model(batch[0].x), batch[1].y), over=[trainer.model, trainer.loss])

    parts = {"model": FullyConnected(1), "loss": Huber(), "rule": SGD(0.125, momentum=0.0)}
    trainer = Steps(step, parts, mode)
    weight, bias = (torch.tensor(trainer.model.state_dict()[name].astype(np.float64), requires_grad=True) for name in ("/weight", "/bias"))
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    for found, batch in zip(trainer.run(), BATCHES, strict=True):
        x, y = (torch.from_numpy(array).double() for array in (batch[0].x, batch[1].y))
        distance = (x @ weight + bias - y).abs() * scale
        loss = nn.functional.huber_loss(distance, torch.zeros_like(distance)) - 0.1 * scale.log()
        expected = {"loss/total": loss.item(), "metrics/far": (distance > 1).double().mean().item()}
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
        for leaf, gradient in zip((weight, bias, scale), torch.autograd.grad(loss, (weight, bias, scale)), strict=True):
            leaf.data -= 0.125 * gradient
    assert trainer.loss.scale.item() == pytest.approx(scale.item(), rel=1e-4)


def test_a_loss_that_ignores_a_part_of_its_scope_names_it(backend: Backend) -> None:
    def step(trainer: Any, batch: Any) -> Any:
        return trainer.minimize(lambda: ops.mean(trainer.model(batch[0].x)), over=[trainer.model, trainer.loss])

    trainer = Steps(step, {"model": FullyConnected(1), "loss": Huber(), "rule": SGD(0.1)})
    with pytest.raises(GradientError, match="The result does not depend on /scale, so there is no gradient for it."):
        trainer.run()
