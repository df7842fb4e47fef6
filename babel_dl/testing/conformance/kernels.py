"""The fused rules of `contract.KERNELS`, where a backend has them; where not, the neutral rule that the core would use is judged."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.backend.contract import KERNELS
from babel_dl.core.random import random_bits
from babel_dl.ops.dispatch import wrap
from babel_dl.testing.conformance.judge import expect, expect_native
from babel_dl.testing.conformance.steps import variable

SHAPES = ((3, 3, 4, 8), (5,), (), (4, 3))
NUM_STEPS = 5
RATES = (0.1, 0.05, 0.2, 0.01, 0.1)

SGD_SETTINGS = [
    {"momentum": 0.0}, {"momentum": 0.0, "weight_decay": 0.1}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05}, {"momentum": 0.5, "weight_decay": 0.05},
]
ADAM_SETTINGS = [
    {}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-2}, {"eps": 1e-3},
]


class KernelConformance:
    """Five steps of each rule against its formula in numpy, eagerly and compiled."""

    def test_kernels_are_rules_of_the_contract(self, backend: Backend) -> None:
        unknown = set(backend.kernels) - set(KERNELS)
        expect(not unknown, f"the contract knows no kernels {sorted(unknown)}.")

    @pytest.mark.parametrize("mode", ["off", "auto"])
    @pytest.mark.parametrize("settings", SGD_SETTINGS, ids=lambda s: "-".join(f"{k}={v}" for k, v in s.items()))
    def test_sgd_follows_its_formula(self, backend: Backend, settings: dict[str, Any], mode: str) -> None:
        rule = backend.kernels.get("sgd", _neutral_sgd(backend))
        momentum, nesterov = settings["momentum"], settings.get("nesterov", False)
        decay = settings.get("weight_decay", 0.0)

        def update(parameters: list[Any], slots: list[list[Any]], gradients: list[Any], rate: Any, step: Any) -> None:
            rule(parameters, gradients, slots[0] if momentum else None, rate, momentum, nesterov, decay)

        def twin(p: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, step: int) -> np.ndarray:
            g = g + decay * p
            slots[0] = momentum * slots[0] + g
            return p - rate * (g + momentum * slots[0] if nesterov else slots[0])

        _run(backend, update, twin, 1, mode)

    @pytest.mark.parametrize("mode", ["off", "auto"])
    def test_sgd_takes_its_momentum_as_a_tensor(self, backend: Backend, mode: str) -> None:
        rule = backend.kernels.get("sgd", _neutral_sgd(backend))

        def update(parameters: list[Any], slots: list[list[Any]], gradients: list[Any], rate: Any, step: Any) -> None:
            rule(parameters, gradients, slots[0], rate, backend.divide(step, 8.0), True, 0.01)

        def twin(p: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, step: int) -> np.ndarray:
            g = g + 0.01 * p
            slots[0] = step / 8 * slots[0] + g
            return p - rate * (g + step / 8 * slots[0])

        _run(backend, update, twin, 1, mode)

    @pytest.mark.parametrize("mode", ["off", "auto"])
    @pytest.mark.parametrize("settings", ADAM_SETTINGS, ids=lambda s: "-".join(f"{k}={v}" for k, v in s.items()) or "plain")
    def test_adam_follows_its_formula(self, backend: Backend, settings: dict[str, Any], mode: str) -> None:
        rule = backend.kernels.get("adam", _neutral_adam(backend))
        s = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False, **settings}

        def update(parameters: list[Any], slots: list[list[Any]], gradients: list[Any], rate: Any, step: Any) -> None:
            rule(parameters, gradients, slots[0], slots[1], step, rate, *s.values())

        def twin(p: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, step: int) -> np.ndarray:
            if s["decoupled"]:
                p = p - rate * s["weight_decay"] * p
            else:
                g = g + s["weight_decay"] * p
            slots[0] = s["beta1"] * slots[0] + (1 - s["beta1"]) * g
            slots[1] = s["beta2"] * slots[1] + (1 - s["beta2"]) * g * g
            corrected = slots[0] / (1 - s["beta1"] ** step)
            return p - rate * corrected / (np.sqrt(slots[1] / (1 - s["beta2"] ** step)) + s["eps"])

        _run(backend, update, twin, 2, mode)

    @pytest.mark.parametrize("mode", ["off", "auto"])
    def test_average_follows_its_formula(self, backend: Backend, mode: str) -> None:
        rule = backend.kernels.get("average", _neutral_average(backend))
        rng = np.random.default_rng(0)
        wanted = [rng.normal(size=shape) for shape in SHAPES]
        averages = [variable(backend, value, trainable=False) for value in wanted]
        step = backend.compile(lambda values, weight: rule(averages, values, weight), mode)
        for weight in (1.0, 0.1, 0.0, 0.001):
            values = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
            natives = [backend.asarray(value, "float32") for value in values]
            step(natives, backend.asarray(weight, "float32"))
            wanted = [average + weight * (value - average) for average, value in zip(wanted, values, strict=True)]
            for average, native, value, judge in zip(averages, natives, values, wanted, strict=True):
                expect_native(backend, backend.read(average), judge, "float32")
                expect_native(backend, native, value, "float32")

    @pytest.mark.parametrize("mode", ["off", "auto"])
    def test_track_follows_its_formula(self, backend: Backend, mode: str) -> None:
        rule = backend.kernels.get("track", _neutral_track(backend))
        rng = np.random.default_rng(0)
        wanted, counter = [rng.normal(size=4), rng.normal(size=4)], variable(backend, 3, "int32", trainable=False)
        averages = [variable(backend, value, trainable=False) for value in wanted]
        before = [backend.read(average) for average in averages]
        kept = [np.array(backend.to_numpy(native)) for native in before]
        for weight in (0.1, 0.7, 0.0, 1.0):
            step = backend.compile(lambda *values, w=weight: rule(counter, averages, values, (1.0, 1.25), w), mode)
            values = [rng.normal(size=4).astype(np.float32) for _ in wanted]
            step(*[backend.asarray(value, "float32") for value in values])
            wanted = [average + weight * (f * v - average) for average, v, f in zip(wanted, values, (1.0, 1.25), strict=True)]
            for average, judge in zip(averages, wanted, strict=True):
                expect_native(backend, backend.read(average), judge, "float32")
        expect_native(backend, backend.read(counter), 7, "int32")
        if mode == "off":
            for native, value in zip(before, kept, strict=True):
                expect_native(backend, native, value, "float32")

    def test_average_takes_what_variables_hold_and_leaves_it(self, backend: Backend) -> None:
        rule = backend.kernels.get("average", _neutral_average(backend))
        weight, average = variable(backend, [4.0, 8.0]), variable(backend, [0.0, 4.0], trainable=False)
        rule([average], [backend.read(weight)], backend.asarray(0.25, "float32"))
        expect_native(backend, backend.read(average), [1, 5], "float32")
        expect_native(backend, backend.read(weight), [4, 8], "float32")
        _, _, (gradient,) = backend.value_and_grad(lambda: (backend.sum(backend.read(weight), (0,), False), None), [weight])
        expect_native(backend, gradient, [1, 1], "float32")

    @pytest.mark.parametrize("mode", ["off", "auto"])
    @pytest.mark.parametrize("count", [0, 1, 5000, 100_000])
    def test_random_bits_follow_their_formula(self, backend: Backend, count: int, mode: str) -> None:
        rule = backend.kernels.get("random_bits", _neutral_random_bits(backend))
        for key in ((0, 0), (-1, 7), (123456789, -(2**31))):
            drawn = backend.compile(lambda counter, key=key: rule(key, counter, count), mode)
            for counter in (0, 1, 2**31 - 1, -(2**31)):
                wanted = _bits(np.array(key, np.int32).view(np.uint32), counter, count)
                expect_native(backend, drawn(backend.asarray(counter, "int32")), wanted.view(np.int32), "int32")

    def test_random_bits_are_the_same_in_every_mode(self, backend: Backend) -> None:
        """A compiler that writes C takes an overflow of signed numbers as leave to do anything: seen from place 16 on."""
        rule = backend.kernels.get("random_bits", _neutral_random_bits(backend))
        for mode in backend.compile_modes:
            drawn = backend.compile(lambda counter: rule((123456789, -(2**31)), counter, 1003), mode)
            for counter in (5, -(2**31)):
                wanted = _bits(np.array((123456789, -(2**31)), np.int32).view(np.uint32), counter, 1003)
                expect_native(backend, drawn(backend.asarray(counter, "int32")), wanted.view(np.int32), "int32")


def _bits(key: np.ndarray, counter: int, count: int) -> np.ndarray:
    """uint32 of shape (count,), by the formula in `babel_dl.core.random`."""

    def mix(x: np.ndarray) -> np.ndarray:
        x = (x ^ x >> np.uint32(16)) * np.uint32(0x85EBCA6B)
        x = (x ^ x >> np.uint32(13)) * np.uint32(0xC2B2AE35)
        return x ^ x >> np.uint32(16)

    base = mix(mix(np.array([counter], np.int32).view(np.uint32) ^ key[0]) ^ key[1])
    places = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    return mix(mix(places + base) ^ mix(base ^ key[1]))


def _run(backend: Backend, update: Callable[..., None], twin: Callable[..., np.ndarray], num_slots: int, mode: str) -> None:
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in SHAPES]
    state = [[np.zeros(shape) for _ in range(num_slots)] for shape in SHAPES]
    parameters = [variable(backend, value) for value in values]
    slots = [[variable(backend, np.zeros(shape), trainable=False) for shape in SHAPES] for _ in range(num_slots)]

    def step(transposed: list[Any], rate: Any, count: Any) -> None:
        # Gradients arrive as views with moved axes, as a framework's own convolutions hand them out.
        gradients = [backend.permute_dims(g, tuple(reversed(range(len(shape))))) for g, shape in zip(transposed, SHAPES, strict=True)]
        update(parameters, slots, gradients, rate, count)

    compiled = backend.compile(step, mode)
    for count in range(1, NUM_STEPS + 1):
        gradients = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
        rate = np.array(RATES[count - 1], np.float32)
        natives = [backend.asarray(g.T, "float32") for g in gradients]
        compiled(natives, backend.asarray(rate, "float32"), backend.asarray(float(count), "float32"))
        for i, gradient in enumerate(gradients):
            values[i] = twin(values[i], gradient.astype(np.float64), state[i], float(rate), count)
            expect_native(backend, backend.read(parameters[i]), values[i], "float32")
            expect_native(backend, natives[i], gradient.T, "float32")


def _neutral_sgd(backend: Backend) -> Callable[..., None]:
    def sgd(parameters: Any, gradients: Any, momenta: Any, rate: Any, momentum: Any, nesterov: bool, decay: float) -> None:
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            value = backend.read(parameter)
            update = gradient = backend.add(gradient, backend.multiply(value, decay))
            if momenta is not None:
                update = backend.add(backend.multiply(backend.read(momenta[i]), momentum), gradient)
                backend.assign(momenta[i], update)
                update = backend.add(gradient, backend.multiply(update, momentum)) if nesterov else update
            backend.assign(parameter, backend.subtract(value, backend.multiply(update, rate)))

    return sgd


def _neutral_random_bits(backend: Backend) -> Callable[..., Any]:
    return lambda key, counter, count: random_bits(key, wrap(counter, backend), count).native


def _neutral_average(backend: Backend) -> Callable[..., None]:
    def average(averages: Any, values: Any, weight: Any) -> None:
        for kept, value in zip(averages, values, strict=True):
            before = backend.read(kept)
            backend.assign(kept, backend.add(before, backend.multiply(backend.subtract(value, before), weight)))

    return average


def _neutral_track(backend: Backend) -> Callable[..., None]:
    def track(counter: Any, averages: Any, values: Any, factors: Any, weight: float) -> None:
        backend.assign(counter, backend.add(backend.read(counter), 1))
        for kept, value, factor in zip(averages, values, factors, strict=True):
            before = backend.read(kept)
            move = backend.subtract(backend.multiply(value, factor), before)
            backend.assign(kept, backend.add(before, backend.multiply(move, weight)))

    return track


def _neutral_adam(backend: Backend) -> Callable[..., None]:
    b = backend

    def moment(storage: Any, value: Any, beta: float) -> Any:
        updated = b.add(b.multiply(b.read(storage), beta), b.multiply(value, 1 - beta))
        b.assign(storage, updated)
        return updated

    def adam(
        parameters: Any, gradients: Any, firsts: Any, seconds: Any, step: Any, rate: Any, beta1: float, beta2: float, eps: float,
        decay: float, decoupled: bool,
    ) -> None:
        for parameter, gradient, first, second in zip(parameters, gradients, firsts, seconds, strict=True):
            value = b.read(parameter)
            if decoupled:
                value = b.subtract(value, b.multiply(b.multiply(value, decay), rate))
            else:
                gradient = b.add(gradient, b.multiply(value, decay))
            m, v = moment(first, gradient, beta1), moment(second, b.square(gradient), beta2)
            m = b.divide(m, b.subtract(1.0, b.power(beta1, step)))
            v = b.divide(v, b.subtract(1.0, b.power(beta2, step)))
            b.assign(parameter, b.subtract(value, b.multiply(b.divide(m, b.add(b.sqrt(v), eps)), rate)))

    return adam
