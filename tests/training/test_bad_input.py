"""Wrong data, models, losses and settings: training ends with an error that says who, what came, and what to do."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import babel_dl
from babel_dl.core import Module
from babel_dl.data import ArrayDataset, Dataset, load_images
from babel_dl.errors import (
    ArgumentError,
    BuildError,
    CheckpointError,
    DataError,
    DeviceError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    UnknownBackendError,
)
from babel_dl.model.layers import FullyConnected
from babel_dl.training import SupervisedTrainer, Trainer
from babel_dl.training.callbacks import CheckpointCallback
from babel_dl.training.checkpoint import read_checkpoint
from babel_dl.training.losses import MeanSquaredError
from babel_dl.training.optimizers import SGD
from tests.training.examples import At, CrossEntropy, Inputs, Linear, Outputs, Recorder, make_trainer, points

one_backend = pytest.mark.parametrize("backend_name", ["torch"])


def arrays(num_samples: int = 20) -> tuple[np.ndarray, np.ndarray]:
    data = points(num_samples)
    return np.stack([inputs.x for inputs, _ in data]), np.array([int(outputs.label) for _, outputs in data], np.int32)


def in_order(data: Dataset) -> Any:
    return data.to_dataloader(8, shuffle=False)


# ---------------------------------------------------------------- backends and devices


def test_an_unknown_backend_is_refused_and_the_nearest_offered():
    before = babel_dl.get_backend()
    with pytest.raises(UnknownBackendError, match=r"There is no backend 'pytroch'. Did you mean 'torch'\?\n  Available plug-ins: torch"):
        babel_dl.set_backend("pytroch")
    assert babel_dl.get_backend() == before


def test_an_unknown_device_is_refused_and_the_choice_stays(backend):
    text = f"Backend '{backend.name}' has no device 'tpu:9' here. Available: cpu"
    with pytest.raises(DeviceError, match=re.escape(text)):
        babel_dl.set_backend(backend.name, "tpu:9")
    assert babel_dl.get_backend() == backend.name


def test_an_unknown_way_to_compile_is_refused(backend):
    with pytest.raises(ArgumentError, match=f"Backend '{backend.name}' cannot compile with mode 'fastest'. .*off"):
        make_trainer(compile="fastest").fit(points())


# ---------------------------------------------------------------- shapes


def test_another_shape_after_build_is_refused_with_the_path_of_the_module(backend):
    trainer = make_trainer()
    trainer.fit(points())
    x, labels = np.ones((5, 6), np.float32), np.zeros(5, np.int32)
    text = "FullyConnected '/dense' got an input of shape (1, 6).\n  It was built at its first call for a last axis of 4"
    with pytest.raises(ShapeError, match=re.escape(text)):
        trainer.evaluate(ArrayDataset(Inputs(x), Outputs(labels)))


def test_a_loss_whose_shapes_do_not_fit_names_both(backend):
    class OnlyLoss(CrossEntropy):
        def call(self, y_pred: Any, y_true: Any) -> Any:
            return self.ce(y_pred.label, y_true.label).mean()

    data = ArrayDataset(Inputs(arrays()[0]), Outputs(np.zeros((20, 5), np.int32)))
    text = "SparseCrossEntropyLossFromLogits '/loss/ce' got y_pred of shape (1, 3) and y_true of shape (1, 5)"
    with pytest.raises(ShapeError, match=re.escape(text)):
        make_trainer(loss=OnlyLoss()).fit(data)


def test_a_distance_of_shapes_that_do_not_fit_is_refused_and_not_broadcast(backend):
    class Distance(CrossEntropy):
        def __init__(self) -> None:
            super().__init__()
            self.mse = MeanSquaredError()

        def call(self, y_pred: Any, y_true: Any) -> Any:
            return self.mse(y_pred.label, y_true.label).mean()

    data = ArrayDataset(Inputs(arrays()[0]), Outputs(np.zeros((20, 2), np.float32)))
    with pytest.raises(ShapeError, match=r"MeanSquaredError '/loss/mse' got .*\(1, 3\).*\(1, 2\)"):
        make_trainer(loss=Distance()).fit(data)


def test_labels_that_are_no_whole_numbers_are_refused(backend):
    with pytest.raises(DTypeError, match=r"needs labels of an integer type, and got float32. Cast them: y_true.astype\('int32'\)"):
        make_trainer().fit(ArrayDataset(Inputs(arrays()[0]), Outputs(np.zeros(20, np.float32))))


# ---------------------------------------------------------------- labels and numbers


def labelled(place: int, value: int) -> ArrayDataset:
    x, labels = arrays()
    labels[place] = value
    return ArrayDataset(Inputs(x), Outputs(labels))


@pytest.mark.parametrize("place", [0, 13])
@pytest.mark.parametrize("value", [3, -1])
def test_a_label_outside_of_the_classes_is_named_with_its_place_in_training(backend, place, value):
    step, sample = divmod(place, 8)
    text = (
        f"Epoch 1, step {step} (batch {step} of the epoch): loss/total became nan.\n"
        f"  SparseCrossEntropyLossFromLogits '/loss/ce': y_true[{sample}] is {value}, and there are 3 classes: "
        f"whole numbers from 0 to 2 are allowed."
    )
    with pytest.raises(NonFiniteError, match=re.escape(text)):
        make_trainer().fit(in_order(labelled(place, value)))


def test_a_label_outside_of_the_classes_is_found_in_dev_data_too(backend):
    place = "Evaluation after epoch 0, step 3 (batch 1): loss/total became nan."
    text = f"{place}\n  SparseCrossEntropyLossFromLogits '/loss/ce': y_true[5] is 3,"
    with pytest.raises(NonFiniteError, match=re.escape(text)):
        make_trainer().fit(points().to_dataloader(8), in_order(labelled(13, 3)))


def spoilt(value: float) -> ArrayDataset:
    x, labels = arrays()
    x[10, 2] = value
    return ArrayDataset(Inputs(x), Outputs(labels))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_is_not_finite_is_found_and_its_place_named(backend, value):
    where = r"Epoch 1, step 1 \(batch 1 of the epoch\): loss/total became .*"
    text = where + r"\n  The batch itself is at fault: input.x is not finite in sample 2 of the batch."
    with pytest.raises(NonFiniteError, match=text):
        make_trainer().fit(in_order(spoilt(value)))


@one_backend
def test_dev_data_that_is_not_finite_is_found_too(backend):
    text = r"Evaluation after epoch 0, step 0 \(batch 1\): .*\n  The batch itself is at fault: input.x is not finite in sample 2 "
    with pytest.raises(NonFiniteError, match=text):
        make_trainer().evaluate(in_order(spoilt(np.nan)))


def explode(trainer: Any) -> None:
    trainer.optimizer.learning_rate = 1e38


def test_a_learning_rate_that_is_too_high_ends_the_run_and_healthy_checkpoints_stay(backend, tmp_path):
    recorder = Recorder()
    trainer = make_trainer(callbacks=[CheckpointCallback(tmp_path), At("on_step_end", explode, 4), recorder], log_every=1)
    with pytest.raises(NonFiniteError, match=r"Epoch 2, step \d \(batch \d of the epoch\): loss/total became .*\n  A lower learning rate"):
        trainer.fit(points().to_dataloader(8), points(10, seed=1), epochs=3)
    assert recorder.names[-1] == "on_fit_failed"
    for name in ("latest", "best"):
        checkpoint = read_checkpoint(tmp_path / f"{name}.safetensors")
        assert checkpoint.metadata["progress"]["step"] == 3
        assert all(np.isfinite(tensor).all() for tensor in checkpoint.tensors.values())
        healthy = make_trainer(callbacks=[])
        metrics = healthy.fit(points().to_dataloader(8), points(10, seed=1), epochs=2, resume=tmp_path / f"{name}.safetensors")
        assert np.isfinite(metrics["loss/total"])


def test_weights_that_are_not_finite_never_replace_a_checkpoint(backend, tmp_path):
    """The loss of a step is that before its update: the weights may be lost while all losses were fine."""
    trainer = make_trainer(callbacks=[CheckpointCallback(tmp_path), At("on_step_start", explode_more, 5)])
    text = r"Tensor 'model/dense/(weight|bias)' is not finite: .*\n.*never replace a healthy checkpoint"
    with pytest.raises(CheckpointError, match=text):
        trainer.fit(points().to_dataloader(8), epochs=3)
    assert read_checkpoint(tmp_path / "latest.safetensors").metadata["progress"]["step"] == 3


def explode_more(trainer: Any) -> None:
    trainer.optimizer.set("learning_rate", float("inf"))


# ---------------------------------------------------------------- data


@one_backend
def test_an_empty_dataset_is_refused(backend):
    data = ArrayDataset(Inputs(np.zeros((0, 4), np.float32)), Outputs(np.zeros(0, np.int32)))
    with pytest.raises(DataError, match="ArrayDataset is empty: there is nothing to load. Check all_sample_tokens, and the filters."):
        make_trainer().fit(data)
    with pytest.raises(DataError, match="ArrayDataset is empty"):
        make_trainer().fit(points(), data)


@one_backend
def test_a_loader_of_a_framework_is_refused_and_what_to_do_is_said(backend):
    from torch.utils.data import DataLoader

    text = (
        r"A trainer needs a Dataset or its loader, and got torch\..*\.DataLoader. Make one: dataset.to_dataloader\(\).\n"
        r"  For arrays: ArrayDataset\(Input\(x=x\), Output\(y=y\)\) from babel_dl.data, with named tuples of yours; or\n"
        r"  babel_dl.fit\(\(x, y\), model, ...\). Datasets and loaders of a framework are not read: give their arrays, or derive from\n"
        r"  babel_dl.data.Dataset."
    )
    with pytest.raises(DataError, match=text):
        make_trainer().fit(DataLoader([1, 2]))  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="A trainer needs a Dataset or its loader, and got tuple. Make one"):
        make_trainer().evaluate(arrays())


class Words(Dataset):
    """Reads one field and forgets the other."""

    def __init__(self) -> None:
        super().__init__(None, dataset_input_type=Inputs, dataset_output_type=Outputs)
        self.all_sample_tokens = ["cat", "dog"]

    def get_x(self, sample_token: str) -> np.ndarray:
        return np.full(4, len(sample_token), np.float32)


def test_a_missing_getter_is_named():
    with pytest.raises(DataError, match=r"Words has no getter for the field 'label' of Outputs.\n.*def get_label\(self, sample_token\)"):
        Words()


@one_backend
def test_a_transformer_that_raises_is_named_with_the_sample(backend):
    class Labelled(Words):
        def get_label(self, sample_token: str) -> int:
            return 0

    def crop(inputs: Any, outputs: Any) -> Any:
        raise ZeroDivisionError("no room")

    data = Labelled()
    data.transformers.append(crop)
    with pytest.raises(DataError, match=r"crop.*(\n.*)*'cat'") as caught:
        make_trainer().fit(in_order(data))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "no room" in str(caught.value)


def test_a_truncated_idx_file_is_refused(tmp_path):
    header = bytes([0, 0, 8, 3, 0, 0, 0, 100, 0, 0, 0, 28, 0, 0, 0, 28])
    Path(tmp_path, "train-images-idx3-ubyte").write_bytes(header + bytes(1000))
    with pytest.raises(DataError, match=r"IDX file .*train-images-idx3-ubyte is truncated.*\n.*expected 78416 bytes, found 1016"):
        load_images("fashion_mnist", "train", data_dir=tmp_path)


# ---------------------------------------------------------------- parts of the wrong kind


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((Linear, CrossEntropy(), SGD(0.1)), r"needs model of class Module, and got <class '.*Linear'>. Make one: Linear\(...\)."),
        ((Linear(), CrossEntropy, SGD(0.1)), r"needs loss of class Module, and got <class '.*CrossEntropy'>. Make one"),
        ((Linear(), CrossEntropy(), SGD), r"needs optimizer of class Optimizer, and got <class '.*SGD'>. Make one: SGD\(...\)."),
        ((Linear(), CrossEntropy(), "sgd"), r"needs optimizer of class Optimizer, and got 'sgd'."),
        ((lambda x: x, CrossEntropy(), SGD(0.1)), r"needs model of class Module, and got <function"),
    ],
)
def test_a_part_of_the_wrong_kind_is_refused(parts, text):
    with pytest.raises(ArgumentError, match="SupervisedTrainer " + text):
        SupervisedTrainer(*parts, callbacks=[])


class Own(Trainer):
    """Returns from its step what it is made with."""

    def __init__(self, result: Any) -> None:
        super().__init__(callbacks=[])
        self.model, self.result = FullyConnected(3), result

    def train_step(self, batch: Any) -> Any:
        return self.result(self.model(batch[0].x))

    def evaluate_step(self, batch: Any) -> Any:
        return self.train_step(batch)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (lambda y: "done", "A step returns a scalar tensor, a dict of scalars or None, and it returned str."),
        (lambda y: [y.mean()], "A step returns a scalar tensor, a dict of scalars or None, and it returned list."),
        (lambda y: y, "A step reports scalars, and 'loss/total' has shape (1, 3). Take its mean() first."),
        (lambda y: {"loss": y}, "A step reports scalars, and 'loss' has shape (1, 3). Take its mean() first."),
        (lambda y: {"loss": 1.5}, "A step reports scalar tensors, and 'loss' is 1.5. Return what the loss computed."),
        (lambda y: {3: y.mean()}, "A step reports scalars by name, and 3 is no text. Use '3'."),
    ],
)
def test_a_step_that_returns_nonsense_is_refused(backend, result, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        Own(result).fit(points())


def test_a_loss_that_returns_nothing_is_refused(backend):
    class Forgetful(CrossEntropy):
        def call(self, y_pred: Any, y_true: Any) -> None:
            super().call(y_pred, y_true)

    with pytest.raises(ArgumentError, match="returns a scalar tensor, and it returned None. Return what the loss computed."):
        make_trainer(loss=Forgetful()).fit(points())


@one_backend
def test_a_model_that_forgets_its_layers_is_refused(backend):
    class Forgetful(Module):
        def call(self, x: Any) -> Outputs:
            return Outputs(FullyConnected(3)(x))

    with pytest.raises(BuildError, match=r"A FullyConnected is made inside call\(\) and forgotten after it"):
        make_trainer(Forgetful()).fit(points())


@one_backend
def test_a_model_without_a_computation_is_refused(backend):
    class Empty(Module):
        """Nothing."""

    with pytest.raises(NotImplementedError, match="Empty has no computation. Write: def call"):
        make_trainer(Empty()).fit(points())
