"""Every optimizer against its sister in torch.optim, which runs in float64 on the same gradients.

The variables are of three kinds: a convolution kernel with gradients around 1, an offset with tiny gradients, where an epsilon in the wrong
place is all that one sees, and a large matrix with large gradients, which some backends hand to another kernel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from babel_dl import ops
from babel_dl.core import Variable, compile
from babel_dl.training.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, clip_by_global_norm, clip_by_value, global_norm

STEPS = 10
SHAPES = {"/conv/weight": (3, 3, 2, 4), "/conv/bias": (4,), "/dense/weight": (256, 256)}
SCALES = {"/conv/weight": 1.0, "/conv/bias": 1e-3, "/dense/weight": 30.0}
RNG = np.random.default_rng(5)
STARTS = {path: RNG.normal(0, 0.1, shape).astype(np.float32) for path, shape in SHAPES.items()}
GRADIENTS = [
    {path: RNG.normal(SCALES[path] / 2, SCALES[path], shape).astype(np.float32) for path, shape in SHAPES.items()} for _ in range(STEPS)
]

CASES: dict[str, tuple[Callable[..., Optimizer], dict[str, Any], Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {"momentum": 0.0}, torch.optim.SGD, {}),
    "sgd weight decay": (SGD, {"momentum": 0.0, "weight_decay": 0.3}, torch.optim.SGD, {"weight_decay": 0.3}),
    "sgd momentum": (SGD, {"momentum": 0.8, "nesterov": False}, torch.optim.SGD, {"momentum": 0.8}),
    "sgd nesterov": (SGD, {"momentum": 0.8}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
    "sgd nesterov weight decay": (
        SGD, {"momentum": 0.7, "weight_decay": 0.3}, torch.optim.SGD, {"momentum": 0.7, "nesterov": True, "weight_decay": 0.3},
    ),
    "sgd dampening": (SGD, {"momentum": 0.8, "dampening": 0.4}, torch.optim.SGD, {"momentum": 0.8, "dampening": 0.4}),
    "sgd dampening weight decay": (
        SGD, {"momentum": 0.8, "dampening": 0.4, "weight_decay": 0.3},
        torch.optim.SGD, {"momentum": 0.8, "dampening": 0.4, "weight_decay": 0.3},
    ),
    "adam": (Adam, {}, torch.optim.Adam, {}),
    "adam betas": (Adam, {"beta1": 0.6, "beta2": 0.8}, torch.optim.Adam, {"betas": (0.6, 0.8)}),
    "adam without first moment": (Adam, {"beta1": 0.0}, torch.optim.Adam, {"betas": (0.0, 0.999)}),
    "adam large eps": (Adam, {"eps": 0.01}, torch.optim.Adam, {"eps": 0.01}),
    "adam weight decay": (Adam, {"weight_decay": 0.3, "eps": 0.01}, torch.optim.Adam, {"weight_decay": 0.3, "eps": 0.01}),
    "adamw": (AdamW, {}, torch.optim.AdamW, {}),
    "adamw weight decay": (AdamW, {"weight_decay": 0.5, "eps": 0.01}, torch.optim.AdamW, {"weight_decay": 0.5, "eps": 0.01}),
    "rmsprop": (RMSprop, {}, torch.optim.RMSprop, {}),
    "rmsprop large eps": (RMSprop, {"eps": 0.01, "alpha": 0.7}, torch.optim.RMSprop, {"eps": 0.01, "alpha": 0.7}),
    "rmsprop centered": (RMSprop, {"centered": True, "alpha": 0.8}, torch.optim.RMSprop, {"centered": True, "alpha": 0.8}),
    "rmsprop momentum": (RMSprop, {"momentum": 0.6, "alpha": 0.8}, torch.optim.RMSprop, {"momentum": 0.6, "alpha": 0.8}),
    "rmsprop all": (
        RMSprop, {"momentum": 0.6, "centered": True, "weight_decay": 0.3, "eps": 0.01},
        torch.optim.RMSprop, {"momentum": 0.6, "centered": True, "weight_decay": 0.3, "eps": 0.01},
    ),
}  # fmt: skip
RATE = 0.01
Clip = Callable[[list[torch.Tensor]], object]
every_case = pytest.mark.parametrize("case", CASES)


def judged(case: str, clip: Clip | None = None, before_step: Callable[[torch.optim.Optimizer, int], None] | None = None) -> dict[str, Any]:
    """Where PyTorch's rule leads in float64."""
    _, _, make, options = CASES[case]
    parameters = {path: torch.nn.Parameter(torch.tensor(start, dtype=torch.float64)) for path, start in STARTS.items()}
    optimizer = make(parameters.values(), lr=RATE, foreach=False, **options)
    for step, gradients in enumerate(GRADIENTS):
        for path, parameter in parameters.items():
            parameter.grad = torch.tensor(gradients[path], dtype=torch.float64)
        if clip is not None:
            clip(list(parameters.values()))
        if before_step is not None:
            before_step(optimizer, step)
        optimizer.step()
    return {path: parameter.detach().numpy() for path, parameter in parameters.items()}


def ours(optimizer: Optimizer, mode: str = "auto", before_step: Callable[[Optimizer, int], None] | None = None) -> dict[str, Any]:
    """Where our rule leads, one compiled function for all steps."""
    variables = {path: Variable(start, path=path) for path, start in STARTS.items()}
    optimizer.prepare(variables)
    step = compile(lambda gradients: optimizer.apply(list(gradients), list(variables.values())), mode)
    for number, gradients in enumerate(GRADIENTS):
        if before_step is not None:
            before_step(optimizer, number)
        step([ops.asarray(gradients[path]) for path in variables])
    return {path: variable.numpy() for path, variable in variables.items()}


def assert_close(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for path, value in wanted.items():  # within 1e-5 of the way that a variable went, and the rounding of float32 on it
        way = np.abs(value - STARTS[path]).max()
        np.testing.assert_allclose(found[path], value, rtol=1e-6, atol=1e-5 * way, err_msg=path)


@every_case
def test_optimizer_moves_as_its_sister_in_pytorch(backend, case):
    make, options, _, _ = CASES[case]
    assert_close(ours(make(RATE, **options)), judged(case))


@every_case
def test_optimizer_moves_the_same_when_nothing_is_compiled(backend, case):
    make, options, _, _ = CASES[case]
    assert_close(ours(make(RATE, **options), mode="off"), judged(case))


@pytest.mark.parametrize("case", ["sgd nesterov", "adam large eps", "adamw weight decay", "rmsprop all"])
def test_clip_value_cuts_each_element_before_the_rule(backend, case):
    make, options, _, _ = CASES[case]
    wanted = judged(case, clip=lambda parameters: torch.nn.utils.clip_grad_value_(parameters, 0.7))
    assert_close(ours(make(RATE, clip_value=0.7, **options)), wanted)


@pytest.mark.parametrize("case", ["sgd nesterov", "adam large eps", "adamw weight decay", "rmsprop all"])
def test_clip_norm_scales_all_gradients_together_before_the_rule(backend, case):
    make, options, _, _ = CASES[case]
    wanted = judged(case, clip=lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 2.5))
    assert_close(ours(make(RATE, clip_norm=2.5, **options)), wanted)


def test_values_are_clipped_before_the_norm(backend):
    def clip(parameters: list[torch.Tensor]) -> None:
        torch.nn.utils.clip_grad_value_(parameters, 0.7)
        torch.nn.utils.clip_grad_norm_(parameters, 2.5)

    assert_close(ours(SGD(RATE, momentum=0.8, clip_norm=2.5, clip_value=0.7)), judged("sgd nesterov", clip=clip))


def test_the_table_would_notice_an_epsilon_in_the_wrong_place():
    def adam(inside: bool) -> np.ndarray:
        value, m, v = STARTS["/conv/bias"].astype(np.float64), 0.0, 0.0
        for step, gradients in enumerate(GRADIENTS, 1):
            gradient = gradients["/conv/bias"].astype(np.float64)
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            corrected = np.sqrt(v / (1 - 0.999**step)) + 0.01 if not inside else (np.sqrt(v) + 0.01) / np.sqrt(1 - 0.999**step)
            value = value - RATE * (m / (1 - 0.9**step)) / corrected
        return value

    wanted = judged("adam large eps")["/conv/bias"]
    np.testing.assert_allclose(adam(inside=False), wanted, rtol=1e-12)
    assert np.abs(adam(inside=True) - wanted).min() > 1e-4


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("case", ["sgd nesterov", "sgd dampening", "adam", "adamw", "rmsprop momentum"])
def test_a_learning_rate_that_moves_is_that_of_the_step(backend, case, mode):
    def in_torch(optimizer: torch.optim.Optimizer, step: int) -> None:
        optimizer.param_groups[0]["lr"] = RATE * (step + 1)

    def in_ours(optimizer: Optimizer, step: int) -> None:
        optimizer.learning_rate = RATE * (step + 1)

    make, options, _, _ = CASES[case]
    assert_close(ours(make(99.0, **options), mode, in_ours), judged(case, before_step=in_torch))


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("case", ["sgd nesterov", "sgd momentum", "sgd dampening", "rmsprop momentum", "adam", "adamw"])
def test_a_momentum_that_moves_is_that_of_the_step(backend, case, mode):
    def in_torch(optimizer: torch.optim.Optimizer, step: int) -> None:
        group = optimizer.param_groups[0]
        if "momentum" in group:
            group["momentum"] = 0.9 - 0.05 * step
        else:
            group["betas"] = (0.9 - 0.05 * step, group["betas"][1])

    def in_ours(optimizer: Optimizer, step: int) -> None:
        optimizer.set(str(optimizer.momentum_name), 0.9 - 0.05 * step)

    make, options, _, _ = CASES[case]
    optimizer = make(RATE, **options)
    optimizer.let_move(str(optimizer.momentum_name))
    assert_close(ours(optimizer, mode, in_ours), judged(case, before_step=in_torch))


def test_centered_rmsprop_stays_finite_where_all_gradients_are_equal(backend):
    variable = Variable(np.ones(50, np.float32))
    optimizer = RMSprop(0.001, alpha=0.5, centered=True)
    gradient = np.random.default_rng(0).normal(size=50).astype(np.float32)
    for _ in range(60):
        optimizer.apply([ops.asarray(gradient)], [variable])
    assert np.isfinite(variable.numpy()).all()


def test_global_norm_is_that_of_all_gradients_together(backend):
    gradients = list(GRADIENTS[0].values())
    wanted = np.sqrt(sum(np.sum(gradient.astype(np.float64) ** 2) for gradient in gradients))
    assert float(global_norm([ops.asarray(gradient) for gradient in gradients])) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e9])
def test_clipping_by_the_norm_gives_the_gradients_of_pytorch(backend, limit):
    parameters = [torch.nn.Parameter(torch.zeros(gradient.shape)) for gradient in GRADIENTS[0].values()]
    for parameter, gradient in zip(parameters, GRADIENTS[0].values(), strict=True):
        parameter.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    found = clip_by_global_norm([ops.asarray(gradient) for gradient in GRADIENTS[0].values()], limit)
    for mine, parameter in zip(found, parameters, strict=True):
        np.testing.assert_allclose(mine.numpy(), parameter.grad.numpy(), rtol=1e-5)


def test_clipping_gradients_of_zero_leaves_them_zero(backend):
    (clipped,) = clip_by_global_norm([ops.zeros((3,))], 1.0)
    np.testing.assert_array_equal(clipped.numpy(), np.zeros(3))


def test_clipping_by_value_cuts_both_ends(backend):
    (clipped,) = clip_by_value([ops.asarray([-3.0, 0.5, 2.0])], 1.0)
    np.testing.assert_array_equal(clipped.numpy(), [-1.0, 0.5, 1.0])
