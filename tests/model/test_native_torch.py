"""PyTorch modules as parts of our models: one memory, views of pictures, PyTorch's own ways next to ours."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import babel_dl
from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, NativeModule, TensorSpec, compile, value_and_grad
from babel_dl.core.native.adoption import as_module
from babel_dl.core.native.randomness import native_random_state, restore_native_random_state, unchanged_native_random_state
from babel_dl.errors import ArgumentError, BackendError, BuildError
from babel_dl.model.layers import Activation, FullyConnected, Sequential
from babel_dl.training.optimizers import SGD, Adam, AdamW, RMSprop
from tests.model.native_examples import BATCH, assert_same, batches, make_torch_cnn, make_trainer, pictures, resumed, train, values_of
from tests.plugins.test_torch_layout import operations_of

pytestmark = [pytest.mark.parametrize("backend_name", ["torch"]), pytest.mark.usefixtures("backend")]

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype(np.float32)
OPTIMIZERS = {
    "SGD": (partial(SGD, 0.05, momentum=0.9), partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True), "_fused_sgd_"),
    "plain SGD": (partial(SGD, 0.05, momentum=0.0), partial(torch.optim.SGD, lr=0.05), "_fused_sgd_"),
    "Adam": (partial(Adam, 0.01), partial(torch.optim.Adam, lr=0.01), "_fused_adam_"),
    "AdamW": (partial(AdamW, 0.01, weight_decay=0.1), partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1), "_fused_adamw_"),
    "RMSprop": (partial(RMSprop, 0.01), partial(torch.optim.RMSprop, lr=0.01), None),
}


def own_loop(model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int = 2) -> None:
    """PyTorch's loop."""
    model.train()
    for images, labels in batches(epochs):
        optimizer.zero_grad()
        logits = model(torch.from_numpy(images).reshape(-1, 1, 8, 8))
        nn.functional.cross_entropy(logits, torch.from_numpy(labels).long()).backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_our_trainer_does_to_a_module_what_pytorchs_own_loop_does(name: str, mode: str) -> None:
    ours, theirs, _ = OPTIMIZERS[name]
    model, twin = make_torch_cnn(dropout=0.3), make_torch_cnn(dropout=0.3)
    torch.manual_seed(3)
    train(model, optimizer=ours(), compile=mode)
    torch.manual_seed(3)
    own_loop(twin, theirs(twin.parameters()))
    for key, value in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6, err_msg=key)
    assert model[1].num_batches_tracked.item() == 2 * len(batches(1))


def test_a_step_that_inductor_compiles_does_the_same() -> None:
    model, twin = make_torch_cnn(), make_torch_cnn()
    train(model, optimizer=SGD(0.05, momentum=0.9), compile="inductor")
    own_loop(twin, torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9, nesterov=True))
    for key, value in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[key].numpy(), value.numpy(), rtol=1e-4, atol=1e-5, err_msg=key)
    assert model[1].num_batches_tracked.item() == 2 * len(batches(1))


@pytest.mark.parametrize("name", [name for name, row in OPTIMIZERS.items() if row[2]])
def test_the_parameters_of_a_module_are_updated_by_one_fused_kernel(name: str) -> None:
    ours, _, kernel = OPTIMIZERS[name]
    model, optimizer = as_module(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))), ours()
    model(IMAGES)
    _, gradients = value_and_grad(lambda: ops.mean(ops.square(model(ops.asarray(IMAGES)))), model)
    optimizer.apply(gradients, model.trainable_variables)
    done = [found for found, _ in operations_of(lambda: optimizer.apply(gradients, model.trainable_variables))]
    assert [found for found in done if found.startswith(("_fused", "_foreach"))] == [kernel]


# ---------------------------------------------------------------------- one memory


def test_what_we_write_is_in_the_module_and_what_the_module_writes_is_with_us() -> None:
    native = nn.Linear(3, 2)
    layer = as_module(native)
    weight = native.weight
    layer.weight.assign(np.full((2, 3), 2.0, np.float32))
    assert native.weight is weight and layer.weight.native is weight
    np.testing.assert_array_equal(native.state_dict()["weight"].numpy(), np.full((2, 3), 2.0, np.float32))
    with torch.no_grad():
        native.weight.mul_(3)
    np.testing.assert_array_equal(layer.weight.numpy(), np.full((2, 3), 6.0, np.float32))
    native.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, assign=True)
    np.testing.assert_array_equal(layer.weight.numpy(), np.ones((2, 3), np.float32))
    assert layer.weight.native is native.weight
    native.double()
    assert layer.state_dict()["/weight"].dtype == np.float64


def test_a_pytorch_optimizer_and_ours_train_the_same_parameters_in_turn() -> None:
    native = make_torch_cnn()
    optimizer = torch.optim.SGD(native.parameters(), lr=0.1)
    trainer = train(native, 1)
    after_ours = values_of(trainer)
    own_loop(native, optimizer, 1)
    after_theirs = values_of(trainer)
    assert not np.array_equal(after_ours["model/6/weight"], after_theirs["model/6/weight"])
    np.testing.assert_array_equal(after_theirs["model/6/weight"], native[6].weight.detach().numpy())


def test_freezing_holds_on_both_sides() -> None:
    native = make_torch_cnn()
    model = as_module(native)
    model.freeze("/0/weight")
    assert not native[0].weight.requires_grad
    native[0].weight.requires_grad_(True)
    native[6].requires_grad_(False)
    assert [variable.path for variable in model.trainable_variables] == ["/0/weight", "/1/weight", "/1/bias"]
    before = model.state_dict()
    train(model, 1)
    kept = [name for name, value in model.state_dict().items() if np.array_equal(value, before[name])]
    assert kept == ["/6/weight", "/6/bias"]


def test_the_mode_of_a_part_that_was_switched_apart_lasts_until_the_whole_is_switched() -> None:
    native = make_torch_cnn()
    model = as_module(native)
    native[1].eval()
    before = native[1].running_mean.clone()
    model(np.ones((4, 8, 8, 1), np.float32))
    assert torch.equal(native[1].running_mean, before)
    native.eval()
    assert not model.training
    model.train()
    assert native[1].training


def test_tied_parameters_are_one_variable() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.decoder.weight = self.encoder.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.decoder(self.encoder(x))

    native = Tied()
    model = as_module(native)
    assert list(model.named_variables) == ["/encoder/weight"]
    model.encoder.weight.assign(np.eye(3, dtype=np.float32))
    assert torch.equal(native.decoder.weight, torch.eye(3))


def test_a_part_that_is_held_beside_its_whole_is_trained_once() -> None:
    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
            self.part = self.whole[0]

        def call(self, x: Any) -> Any:
            return self.part(self.whole(x))

    model = Model()
    x = ops.ones((2, 3))
    model(x)
    assert list(model.named_variables) == ["/whole/0/weight", "/whole/0/bias", "/whole/1/weight", "/whole/1/bias"]
    _, gradients = value_and_grad(lambda: ops.sum(model(x)), model)
    before = model.whole.native[0].weight.detach().clone()
    SGD(0.1, momentum=0.0).apply(gradients, model.trainable_variables)
    moved = before - 0.1 * gradients[0].native
    torch.testing.assert_close(model.part.native.weight.detach(), moved)


def test_a_run_with_dropout_is_resumed_with_the_generator_of_pytorch(tmp_path: Path) -> None:
    torch.manual_seed(7)
    trainer = train(make_torch_cnn(dropout=0.3), 1)
    kept, values = native_random_state(trainer.modules.values()), values_of(trainer)
    trainer.fit(pictures().to_dataloader(batch_size=BATCH), epochs=2)
    whole = values_of(trainer)
    trainer.model.load_state_dict({name.removeprefix("model"): value for name, value in values.items() if name.startswith("model")})
    other = make_trainer(make_torch_cnn(5, dropout=0.3))
    other.prepare(batches_of(other))
    for name, part in {**other.modules, **other.optimizers}.items():
        for path, variable in part.named_variables.items():
            variable.assign(values[f"{name}{path}"])
    other.progress.epoch, other.progress.step = 1, len(batches(1))
    restore_native_random_state(other.modules.values(), kept)
    other.fit(pictures().to_dataloader(batch_size=BATCH), epochs=2)
    assert_same(values_of(other), whole)


def batches_of(trainer: Any) -> Any:
    """A batch to prepare a trainer with."""
    return next(iter(pictures().to_dataloader(batch_size=BATCH).batches(0, 0)))


def test_a_trainer_keeps_the_generator_of_pytorch_in_its_checkpoints(tmp_path: Path) -> None:
    torch.manual_seed(7)
    whole = train(make_torch_cnn(dropout=0.3), 4)
    torch.manual_seed(7)
    train(make_torch_cnn(dropout=0.3), 2).save(tmp_path / "half.safetensors")
    torch.manual_seed(99)
    resumed_one = make_trainer(make_torch_cnn(5, dropout=0.3))
    resumed_one.fit(pictures().to_dataloader(batch_size=BATCH), epochs=4, resume=tmp_path / "half.safetensors")
    assert_same(values_of(whole), values_of(resumed_one))


def test_evaluation_draws_nothing_from_the_generator_of_pytorch() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_torch_cnn()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x + 0.1 * torch.randn_like(x))

    trainer = train(Noisy(), 1)
    state = torch.get_rng_state()
    trainer.evaluate(pictures().to_dataloader(batch_size=BATCH))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_generator_of_pytorch_is_left_alone_where_no_native_module_is() -> None:
    ours = FullyConnected(2)
    assert native_random_state([ours]) is None
    native = as_module(nn.Linear(2, 2))
    state = torch.get_rng_state()
    with unchanged_native_random_state([native]):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    with unchanged_native_random_state([ours]):
        torch.rand(3)
    assert not torch.equal(torch.get_rng_state(), state)


def test_building_draws_nothing_from_the_generator_of_pytorch() -> None:
    model = make_torch_cnn(dropout=0.5)
    trainer = make_trainer(model)
    state, before = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    trainer.prepare(batches_of(trainer))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_values_of_64_bit_survive_a_state_dict() -> None:
    native = nn.BatchNorm1d(3).double()
    with torch.no_grad():
        native.weight.fill_(1 / 3)
        native.num_batches_tracked.fill_(5)
    values = as_module(native).state_dict()
    other = nn.BatchNorm1d(3).double()
    as_module(other).load_state_dict(values)
    assert other.weight[0].item() == 1 / 3 and other.num_batches_tracked.item() == 5


# ---------------------------------------------------------------------- kinds of modules


def test_lazy_modules_are_completed_at_the_first_call() -> None:
    native = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    model = as_module(native)
    assert list(model.named_variables) == []
    model.build_from(TensorSpec((None, 6, 5, 3)))
    assert {name: variable.shape for name, variable in model.named_variables.items()} == {
        "/0/weight": (4, 3, 3, 3), "/0/bias": (4,), "/1/weight": (4,), "/1/bias": (4,), "/1/running_mean": (4,), "/1/running_var": (4,),
        "/1/num_batches_tracked": (), "/3/weight": (2, 48), "/3/bias": (2,),
    }  # fmt: skip
    assert native[1].num_batches_tracked.item() == 0
    with pytest.raises(BuildError, match="is not complete: its tensors depend on the shapes of its inputs. Call it as a whole first"):
        as_module(nn.Sequential(nn.LazyLinear(2)))[0](np.ones((1, 2), np.float32))


class Averaging(nn.Module):
    """Replaces a buffer by a new one at each call, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(0)
        return self.linear(x - self.mean)


@pytest.mark.parametrize("mode", ["auto", "inductor"])
def test_buffers_that_a_module_replaces_are_followed(mode: str) -> None:
    native, optimizer = Averaging(), SGD(0.01)
    model = as_module(native)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)

    def step(x: Any) -> Any:
        loss, gradients = value_and_grad(lambda: ops.sum(model(x)), model)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    compiled, wanted = compile(step, mode), np.zeros(3)
    for _ in range(4):
        compiled(x)
        wanted = 0.5 * wanted + 0.5 * x.mean(0)
        np.testing.assert_allclose(model.named_variables["/mean"].numpy(), wanted, rtol=1e-5)
        np.testing.assert_allclose(native.mean.numpy(), wanted, rtol=1e-5)


def test_building_takes_back_what_a_module_did_to_its_buffers() -> None:
    native = Averaging()
    before = native.mean
    Sequential(native, FullyConnected(1)).build_from(np.ones((4, 3), np.float32))
    assert native.mean is before and not before.any()


class Autoencoder(nn.Module):
    """Has parts and methods to call by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 2), nn.Tanh())
        self.decoders = nn.ModuleList([nn.Linear(2, 4), nn.Linear(2, 3)])
        self.by_name = nn.ModuleDict({"extra": nn.Linear(2, 1)})

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        code = self.encode(x, scale=1.0)
        return {"code": code, "rest": (self.decoders[0](code), 3)}

    def encode(self, x: torch.Tensor, scale: float) -> torch.Tensor:
        return scale * self.encoder(x)


def test_parts_and_methods_of_a_module_are_called_with_our_tensors() -> None:
    native = Autoencoder()
    model = as_module(native)
    x = ops.asarray(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    found = model(x)
    assert (found["code"].shape, found["rest"][0].shape, found["rest"][1]) == ((5, 2), (5, 4), 3)
    np.testing.assert_array_equal(model.encoder(x).numpy(), found["code"].numpy())
    np.testing.assert_array_equal(model.encode(x, scale=2.0).numpy(), 2 * found["code"].numpy())
    assert [decoder(found["code"]).shape for decoder in model.decoders] == [(5, 4), (5, 3)]
    assert model.by_name["extra"](found["code"]).shape == (5, 1) and list(model.by_name) == ["extra"] and len(model.decoders) == 2
    assert model.encoder[0].weight is model.named_variables["/encoder/0/weight"] and model.encoder[0].out_features == 2
    assert list(model.encoder.named_variables) == ["/0/weight", "/0/bias"] and len(list(model.parameters())) == 8
    assert list(model.encode.named_variables) == list(model.named_variables)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        model.encoder.nothing  # noqa: B018


def test_a_list_of_modules_is_used_as_a_list(backend: Backend) -> None:
    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

        def call(self, x: Any) -> Any:
            for block in self.blocks:
                x = ops.relu(block(x))
            return x

    model = Model()
    x = ops.ones((2, 3))
    model(x)
    _, gradients = value_and_grad(lambda: ops.sum(model(x)), model)
    assert [variable.path for variable in model.trainable_variables][2] == "/blocks/1/weight" and len(gradients) == 4


def test_a_module_that_torch_compile_wrapped_keeps_its_names() -> None:
    wrapped = torch.compile(nn.Sequential(nn.Linear(3, 2)), backend="eager")
    assert list(as_module(wrapped).named_variables) == ["/0/weight", "/0/bias"]


def test_options_of_other_frameworks_are_refused() -> None:
    with pytest.raises(BackendError, match=r"NativeModule got per_sample=... with a Linear, and a PyTorch module takes batches"):
        NativeModule(nn.Linear(2, 2), per_sample=True)(np.ones((1, 2), np.float32))
    with pytest.raises(BackendError, match=r"NativeModule got state=... with a Linear"):
        NativeModule(nn.Linear(2, 2), state=3)(np.ones((1, 2), np.float32))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_narrow_precision_runs_a_module_under_autocast(precision: str) -> None:
    native, seen = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)), []
    native[2].register_forward_hook(lambda module, args, result: seen.append((args[0].dtype, result.dtype)))
    model = as_module(native)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    wide = model(x).numpy()
    model.precision = precision
    narrow = model(x)
    assert seen[-1][1] is getattr(torch, precision) and narrow.dtype == "float32" and native[0].weight.dtype is torch.float32
    np.testing.assert_allclose(narrow.numpy(), wide, atol=0.05)
    _, gradients = value_and_grad(lambda: ops.sum(model(ops.asarray(x))), model)
    assert {gradient.dtype for gradient in gradients} == {"float32"}


def test_two_runs_under_one_seed_are_the_same_bits(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        babel_dl.set_seed(0)
        torch.manual_seed(1)
        runs.append(values_of(train(make_torch_cnn(2, dropout=0.2))))
    assert_same(*runs)


def test_a_resumed_run_is_the_same_bits_with_every_optimizer(tmp_path: Path) -> None:
    for name, (ours, _, _) in OPTIMIZERS.items():
        (tmp_path / name).mkdir()
        seeds = iter((0, 0, 3))
        assert_same(*resumed(lambda seeds=seeds: make_torch_cnn(next(seeds)), tmp_path / name, ours))


def test_an_error_in_a_step_gives_back_what_we_assigned() -> None:
    layer = as_module(nn.Linear(2, 2))
    before = layer.state_dict()

    def step() -> None:
        layer.weight.assign(layer.weight + 1.0)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        compile(step)()
    assert_same(layer.state_dict(), before)



def test_an_activation_of_pytorch_keeps_its_weights() -> None:
    layer = Sequential(FullyConnected(3, activation=nn.PReLU(init=0.5)), Activation(nn.PReLU)).build_from(np.ones((2, 4), np.float32))
    assert [variable.shape for variable in layer.trainable_variables] == [(1,), (4, 3), (3,), (1,)]


def test_a_part_of_a_native_module_has_no_precision_of_its_own() -> None:
    model = as_module(make_torch_cnn()).build_from(TensorSpec((None, 8, 8, 1)))
    part = next(iter(model))
    with pytest.raises(ArgumentError, match=r"'0' is a part of a native module, which has one precision as a whole"):
        part.precision = "bfloat16"
    with pytest.raises(ArgumentError, match=r"No module's path fits '/0'.* A native module has one precision as a whole"):
        model.set_precision("bfloat16", "/0")
    model.precision = "bfloat16"
    assert part.precision == "bfloat16"
