"""Mixed precision: what happens to tensors and variables under a policy, and nothing where there is none."""

import threading
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, RandomStream, Tensor, Variable, compile, precision, value_and_grad
from babel_dl.core.precision import compute_dtype
from babel_dl.model.layers import BatchNormalization, Dropout, Embedding, FullyConnected, LayerNorm, Sequential
from tests.core.precision_examples import EPS, NARROW, Holder, Nested, Pair, Spy, X, spied

# ---------------------------------------------------------------- what happens to tensors


@pytest.mark.parametrize("dtype", NARROW)
def test_floating_inputs_are_cast_wherever_they_are_and_others_are_not(backend: Backend, dtype: str) -> None:
    spy = Spy()
    spy.precision = dtype
    x, whole, flags = ops.asarray(X), ops.asarray([1, 2]), ops.asarray([True])
    spy(Pair(x, [whole, {"flags": flags, "x": X}]), text="text", number=0.5, nothing=None, x=x)
    pair = spy.args[0]
    assert type(pair) is Pair and (pair.first.dtype, pair.second[0].dtype) == (dtype, "int32")
    assert (pair.second[1]["flags"].dtype, pair.second[1]["x"].dtype, spy.kwargs["x"].dtype) == ("bool", dtype, dtype)
    assert (spy.kwargs["text"], spy.kwargs["number"], spy.kwargs["nothing"], spy.compute_dtype) == ("text", 0.5, None, dtype)


@pytest.mark.parametrize("dtype", NARROW)
def test_what_leaves_the_outermost_module_is_float32(backend: Backend, dtype: str) -> None:
    spy = Spy()
    spy.precision = dtype
    args, kwargs = spy(ops.asarray(X), ops.asarray([1, 2]), other=[ops.asarray(X), None])
    assert (args[0].dtype, args[1].dtype, kwargs["other"][0].dtype, kwargs["other"][1]) == ("float32", "int32", "float32", None)
    np.testing.assert_allclose(args[0].numpy(), X, rtol=EPS[dtype])
    assert not np.array_equal(args[0].numpy(), X)
    assert compute_dtype() == "float32"


def test_natives_and_arrays_are_taken_and_answered_as_always(backend: Backend) -> None:
    spy = Spy()
    spy.precision = "bf16"
    native = ops.asarray(X).native
    answer = spy(native)
    assert backend.is_native(answer) and backend.dtype(answer) == "float32" and spy.args[0].dtype == "bfloat16"
    assert isinstance(spy(X), Tensor)


def test_a_list_without_anything_to_cast_is_the_callers_list(backend: Backend) -> None:
    class Collector(Module):
        def call(self, x: Any, found: list[Any]) -> Any:
            found.append(x)
            return x

    model, found = Collector(), []
    model.precision = "bf16"
    model(ops.asarray(X), found)
    assert [tensor.dtype for tensor in found] == ["bfloat16"]


@pytest.mark.parametrize("dtype", NARROW)
def test_a_head_of_float32_gets_and_gives_float32(backend: Backend, dtype: str) -> None:
    model = Nested()
    model.precision = dtype
    model.head.precision = "float32"
    answer = model(X)
    assert spied(model) == [dtype, "float32", "float32", dtype]
    assert (model.features.dtype, model.answer.dtype, answer.dtype) == (dtype, "float32", "float32")
    weight, bias = model.head.layers[1].weight.numpy(), model.head.layers[1].bias.numpy()
    wanted = model.features.numpy().astype(np.float64) @ weight + bias
    np.testing.assert_allclose(model.answer.numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", NARROW)
def test_a_narrow_part_of_a_plain_model_gives_it_float32(backend: Backend, dtype: str) -> None:
    model = Nested()
    model.body.precision = dtype
    model(X)
    assert spied(model) == [dtype, "float32", "float32", "float32"] and model.features.dtype == "float32"


def test_bfloat16_beside_float16_meets_in_float32(backend: Backend) -> None:
    model = Nested()
    model.precision = "bfloat16"
    model.head.precision = "float16"
    model(X)
    assert spied(model) == ["bfloat16", "float16", "float16", "bfloat16"] and model.answer.dtype == "float32"


def test_types_that_meet_in_a_module_promote_as_everywhere(backend: Backend) -> None:
    class Mixing(Module):
        def call(self, x: Any, image: Any) -> Any:
            float32 = ops.asarray(X)
            made = ops.ones((4,), compute_dtype())
            self.types = [(x * 0.5).dtype, (x + float32).dtype, (x + image).dtype, (image / 255).dtype, (x * made).dtype, (x > 0).dtype]
            return x + float32

    model = Mixing()
    model.precision = "bf16"
    assert model(ops.asarray(X), ops.asarray(np.ones((6, 4), np.uint8))).dtype == "float32"
    assert model.types == ["bfloat16", "float32", "bfloat16", "float32", "bfloat16", "bool"]


def test_an_error_in_a_module_ends_its_policy(backend: Backend) -> None:
    class Failing(Module):
        def call(self, x: Any) -> Any:
            raise ValueError("on purpose")

    model = Sequential(Failing())
    model.precision = "bf16"
    for _ in range(2):  # while it is built, and afterwards
        with pytest.raises(ValueError, match="on purpose"):
            model(ops.asarray(X))
        assert compute_dtype() == "float32"


def test_another_thread_is_not_under_the_policy(backend: Backend) -> None:
    class Threading(Module):
        def call(self, x: Any) -> Any:
            found: list[str] = []
            thread = threading.Thread(target=lambda: found.append(compute_dtype()))
            thread.start()
            thread.join()
            self.found = [compute_dtype(), *found]
            return x

    model = Threading()
    model.precision = "bf16"
    model(X)
    assert model.found == ["bfloat16", "float32"]


# ---------------------------------------------------------------- what happens to variables


@pytest.mark.parametrize("dtype", NARROW)
def test_parameters_are_read_narrow_and_state_is_read_as_it_is(backend: Backend, dtype: str) -> None:
    model = Holder()
    model.precision = dtype
    model(X)
    assert model.types == (dtype, dtype, "float32", "float32", "int32")
    assert (model.weight.dtype, model.weight.value.dtype, model.host.dtype) == ("float32", "float32", np.float32)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("mode", ["off", "auto"])
def test_gradients_arrive_in_the_type_of_the_variables(backend: Backend, dtype: str, mode: str) -> None:
    model = Sequential(FullyConnected(3, activation="relu"), LayerNorm(), FullyConnected(2))
    model.precision = dtype
    model(X)

    def step() -> Any:
        return value_and_grad(lambda: (ops.square(model(X)).mean(), {"x": ops.asarray(X)}), model, has_aux=True)

    (value, _), gradients = compile(step, mode)()
    assert [value.dtype, *[gradient.dtype for gradient in gradients]] == ["float32"] * 7
    model.precision = "float32"
    _, exact = value_and_grad(lambda: ops.square(model(X)).mean(), model)
    largest = max(float(ops.abs(gradient).max()) for gradient in exact)
    for rounded, wanted in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(rounded.numpy(), wanted.numpy(), atol=8 * EPS[dtype] * largest)


def test_values_go_out_and_in_as_float32(backend: Backend) -> None:
    model, twin = Nested(), Nested()
    model.precision = "bf16"
    model(X)
    twin(X)
    values = model.state_dict()
    assert {value.dtype for value in values.values()} == {np.dtype(np.float32)}
    assert all(np.array_equal(value, twin.state_dict()[path]) for path, value in values.items())
    model.load_state_dict({path: value + np.float32(1e-6) for path, value in values.items()})
    assert np.array_equal(model.head.layers[1].bias.numpy(), np.full(2, 1e-6, np.float32))


def test_a_variable_that_a_module_adds_to_keeps_its_last_bits(backend: Backend) -> None:
    class Adding(Holder):
        def call(self, x: Any) -> Any:
            self.weight += 1e-4
            self.weight *= 1.0
            return x

    model = Adding()
    model.precision = "bf16"
    for _ in range(3):
        model(X)
    np.testing.assert_allclose(model.weight.numpy(), 1 + 3e-4, rtol=1e-6)


@pytest.mark.parametrize("dtype", NARROW)
def test_normalizations_read_their_parameters_whole(backend: Backend, dtype: str) -> None:
    for layer in (BatchNormalization(), LayerNorm()):
        layer.precision = dtype
        layer(ops.asarray(X))
        layer.weight.assign(np.full(4, 1 + 2.0**-12, np.float32))  # 1 in both narrow types
        layer.bias.assign(np.full(4, -1.0, np.float32))
        x = ops.asarray(np.repeat([[1.0], [-1.0]], 4, axis=1) if isinstance(layer, BatchNormalization) else [[1.0, -1.0, 1.0, -1.0]])
        _, (for_weight, for_bias) = value_and_grad(lambda layer=layer, x=x: (layer(x) * 1.0).sum(), layer)
        answer = layer(x).numpy()
        assert (layer.weight.is_cast, for_weight.dtype, for_bias.dtype) == (False, "float32", "float32")
        assert np.max(answer) > 0  # 2**-12 - 5e-6; scaled by 1 it would be below 0 by the eps in the root


@pytest.mark.parametrize("dtype", NARROW)
def test_batch_statistics_are_float32(backend: Backend, dtype: str) -> None:
    x = (np.random.default_rng(1).normal(size=(512, 3)) * 0.1 + 1.0).astype(np.float32)
    layer = BatchNormalization(momentum=1.0)
    layer.precision = dtype
    layer(x)
    seen = ops.asarray(x).astype(dtype).numpy().astype(np.float64)
    np.testing.assert_allclose(layer.running_mean.numpy(), seen.mean(0), rtol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), seen.var(0, ddof=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", NARROW)
def test_an_embedding_takes_whole_numbers_and_adds_up_its_gradient_in_float32(backend: Backend, dtype: str) -> None:
    class Looking(Module):
        def __init__(self) -> None:
            super().__init__()
            self.vectors = Embedding(3, 2)

        def call(self, indices: Any) -> Any:
            found = self.vectors(indices)
            self.type = found.dtype
            return found

    model = Looking()
    model.precision = dtype
    indices = ops.asarray(np.zeros(3000, np.int32))
    model(indices)
    assert model.type == dtype
    _, (gradient,) = value_and_grad(lambda: model(indices).sum(), model)
    assert gradient.numpy().tolist() == [[3000.0, 3000.0], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("dtype", NARROW)
def test_the_gradient_of_what_is_broadcast_adds_up_in_float32(backend: Backend, dtype: str) -> None:
    class Affine(Module):
        def build(self, x: Any) -> None:
            self.scale, self.offset = self.variable("scale", (8,), "ones"), self.variable("offset", (), "zeros")

        def call(self, x: Any) -> Any:
            return x * self.scale - self.offset

    model, x = Affine(), ops.asarray(np.random.default_rng(0).uniform(size=(32, 24, 24, 8))).astype(dtype)
    model.precision = dtype
    model(x)
    _, (scale, offset) = value_and_grad(lambda: (model(x) * 0.125).sum(), model)
    np.testing.assert_allclose(scale.numpy(), 0.125 * x.numpy().astype(np.float64).sum((0, 1, 2)), rtol=EPS[dtype])
    np.testing.assert_allclose(offset.numpy(), -0.125 * 32 * 24 * 24 * 8, rtol=EPS[dtype])


@pytest.mark.parametrize("dtype", NARROW)
def test_sums_means_and_variances_in_a_module_are_formed_in_float32_and_rounded_once(backend: Backend, dtype: str) -> None:
    class Statistics(Module):
        def call(self, x: Any) -> Any:
            outlier = ops.where(ops.cumulative_sum(ops.ones_like(x[0]), 0) == 1.0, 300.0, x[0] * 0.0)
            means = [x.sum(1) / 4.0, x.mean(1), ops.cumulative_sum(x, 1)[:, -1] / 4.0, ops.var(x, 1), ops.logsumexp(x, 1)]
            return {"means": means, "softmax": ops.softmax(x * 9.0).sum(1), "var": ops.var(outlier)}

    x = ops.asarray(np.random.default_rng(0).uniform(size=(3, 3000))).astype(dtype)
    model, wide = Statistics(), x.numpy().astype(np.float64)
    model.precision = dtype
    found = model(x)
    wanted = [wide.sum(1) / 4, wide.mean(1), wide.sum(1) / 4, wide.var(1), np.log(np.exp(wide).sum(1))]
    for mean, exact in zip(found["means"], wanted, strict=True):
        np.testing.assert_allclose(mean.numpy(), exact, rtol=EPS[dtype])
    np.testing.assert_allclose(found["var"].numpy(), 300.0**2 * 2999 / 3000**2, rtol=EPS[dtype])  # its square is infinite in float16
    np.testing.assert_allclose(found["softmax"].numpy(), 1.0, rtol=EPS[dtype])


# ---------------------------------------------------------------- together with the rest


@pytest.mark.parametrize("dtype", NARROW)
def test_dropout_masks_are_the_same_bits(backend: Backend, dtype: str) -> None:
    def dropped(policy: str) -> np.ndarray:
        layer = Dropout(0.4)
        layer.precision = policy
        return np.stack([layer(np.ones((50, 40), np.float32)).numpy() == 0 for _ in range(3)])

    assert np.array_equal(dropped(dtype), dropped("float32")) and 0.35 < dropped(dtype).mean() < 0.45


def test_random_numbers_inside_of_a_policy_are_those_outside(backend: Backend) -> None:
    class Drawing(Module):
        def __init__(self) -> None:
            super().__init__()
            self.random = RandomStream()

        def call(self, x: Any) -> Any:
            self.drawn = self.random.normal((4, 3))
            return self.random.uniform((5,))

    plain, narrow = Drawing(), Drawing()
    narrow.precision = "bf16"
    assert np.array_equal(plain(X).numpy(), narrow(X).numpy())
    assert narrow.drawn.dtype == "float32" and np.array_equal(plain.drawn.numpy(), narrow.drawn.numpy())


@pytest.mark.parametrize("dtype", NARROW)
def test_predict_answers_in_float32_and_follows_a_change_of_policy(backend: Backend, dtype: str) -> None:
    model = Sequential(FullyConnected(8, activation="tanh"), FullyConnected(2))
    plain = model.predict(x=X[0])
    model.precision = dtype
    narrow = model.predict(x=X[0])
    assert narrow.dtype == np.float32 and not np.array_equal(plain, narrow)
    np.testing.assert_allclose(narrow, plain, atol=4 * EPS[dtype])
    model.precision = None
    assert np.array_equal(model.predict(x=X[0]), plain)


def test_what_compile_made_follows_a_change_of_policy(backend: Backend) -> None:
    model = FullyConnected(4).build_from(X[0])
    run = compile(lambda x: model(x))
    plain = run(ops.asarray(X[0])).numpy()
    model.precision = "bfloat16"
    assert not np.array_equal(run(ops.asarray(X[0])).numpy(), plain)
    model.precision = None
    assert np.array_equal(run(ops.asarray(X[0])).numpy(), plain)


def test_frozen_parts_stay_frozen_and_gradients_pass_through_them(backend: Backend) -> None:
    model = Sequential(FullyConnected(3), FullyConnected(2))
    model.precision = "bf16"
    model(X)
    model.freeze("/layers/1/*")
    _, gradients = value_and_grad(lambda: ops.square(model(X)).mean(), model)
    assert [gradient.shape for gradient in gradients] == [(4, 3), (3,)] and float(ops.abs(gradients[0]).max()) > 0


@pytest.mark.parametrize("dtype", NARROW)
def test_a_gradient_of_a_gradient_goes_through_the_casts(backend: Backend, dtype: str) -> None:
    model = Sequential(FullyConnected(8, activation="tanh"), FullyConnected(1))
    model(X)

    def penalty() -> Any:
        _, (gradient,) = value_and_grad(lambda x: model(x).sum(), ops.asarray(X))
        return ops.square(ops.sqrt(ops.square(gradient).sum(axis=1)) - 1.0).mean()

    wanted, exact = value_and_grad(penalty, model.layers[0].weight)
    model.precision = dtype
    value, gradients = value_and_grad(penalty, model.layers[0].weight)
    np.testing.assert_allclose(float(value), float(wanted), rtol=8 * EPS[dtype])
    scale = float(ops.abs(exact[0]).max())
    np.testing.assert_allclose(gradients[0].numpy(), exact[0].numpy(), atol=16 * EPS[dtype] * scale)


# ---------------------------------------------------------------- float32


def _trained(policy: str | None) -> list[np.ndarray]:
    model = Sequential(FullyConnected(8, activation="gelu"), BatchNormalization(), Dropout(0.3), FullyConnected(1))
    if policy is not None:
        model.precision = policy
    model(X)
    answers = []
    for _ in range(3):
        value, gradients = value_and_grad(lambda: ops.square(model(X)).mean(), model)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            variable.assign(variable - 0.1 * gradient)
        answers.append(value.numpy())
    return [*answers, *model.state_dict().values()]


def test_a_policy_of_float32_changes_not_one_bit(backend: Backend) -> None:
    Spy().precision = "bf16"  # so that policies are looked at at all
    for plain, said in zip(_trained(None), _trained("float32"), strict=True):
        assert plain.tobytes() == said.tobytes()


def test_a_policy_of_float32_casts_nothing_where_nothing_is_narrow(backend: Backend) -> None:
    spy = Spy()
    spy.precision = "float32"
    Spy().precision = "bf16"
    assert spy(ops.asarray(X).astype("bfloat16")).dtype == spy.args[0].dtype == "bfloat16"


def test_without_a_narrow_policy_calls_and_reads_look_at_one_flag_and_no_further(backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(precision, "in_use", False)
    model = Sequential(Embedding(3, 4), FullyConnected(2))
    model.precision = "float32"
    for name in ("run", "narrowed", "type_of_parameter", "settle", "_policy_of", "_local"):
        monkeypatch.setattr(precision, name, None)
    assert model(np.array([0, 1])).shape == (2, 2) and model(ops.asarray([0, 1])).dtype == "float32"
    assert precision.in_use is False


def test_a_variable_that_belongs_to_no_module_is_cast_in_a_module_and_nowhere_else(backend: Backend) -> None:
    free = Variable(X, path="/free")

    class Using(Module):
        def call(self, x: Any) -> Any:
            self.type = (x * free).dtype
            return x * free

    model = Using()
    model.precision = "bf16"
    assert model(ops.asarray(X)).dtype == "float32"
    assert (model.type, (free * 1.0).dtype) == ("bfloat16", "float32")
