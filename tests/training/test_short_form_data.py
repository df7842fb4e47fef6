"""What a training in one call takes as data, and what transformers do to it."""

from collections import namedtuple

import numpy as np
import pytest

import babel_dl
from babel_dl.core import Module
from babel_dl.data import ArrayDataset, Dataset, RandomFlip, load_dataset
from babel_dl.errors import ArgumentError, DataError
from babel_dl.model.layers import Flatten, FullyConnected
from babel_dl.training.short_form.feeding import ArrayInput, ArrayOutput, NoOutput, feed
from tests.training.short_parts import Scores, columns

Image = namedtuple("Image", ["image"])
Label = namedtuple("Label", ["label"])
MINI = {"name": "fashion_mnist", "data": "mini"}


def pictures(num_samples: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num_samples, 4, 4), dtype=np.uint8), rng.integers(0, 3, num_samples)


def batch_of(loader, epoch: int = 0):
    return next(iter(loader.batches(epoch, 0)))


# ---------------------------------------------------------------- forms


def test_arrays_are_inputs_and_outputs():
    x, y = columns(5)
    found = feed((x, y), None, None, 2, None)
    inputs, outputs = batch_of(found.train.dataset.to_dataloader(5, shuffle=False))
    assert type(inputs) is ArrayInput
    assert type(outputs) is ArrayOutput
    np.testing.assert_array_equal(inputs.x, x)
    np.testing.assert_array_equal(outputs.y, y)
    assert found.dev is None
    assert (found.train.batch_size, found.train.shuffle, len(found.train)) == (2, True, 3)
    assert found.settings["inputs"] == {"x": "(4,) float32"}
    assert found.settings["outputs"] == {"y": "() int32"}


def test_two_pairs_of_arrays_are_to_train_and_to_evaluate_on():
    found = feed((columns(5), columns(3, seed=1)), None, None, None, None)
    assert (found.train.num_samples, found.dev.num_samples) == (5, 3)
    assert (found.train.shuffle, found.dev.shuffle) == (True, False)


def test_dicts_and_named_tuples_of_arrays_name_the_fields():
    x, y = columns(5)
    found = feed(({"a": x, "b": x}, Label(y)), None, None, None, None)
    inputs, outputs = batch_of(found.train)
    assert (inputs._fields, outputs._fields) == (("a", "b"), ("label",))


def test_inputs_alone_will_do():
    inputs, outputs = batch_of(feed(columns(5)[0], None, None, None, None).train)
    assert inputs.x.shape == (5, 4)
    assert outputs == NoOutput()


def test_datasets_and_loaders_are_taken_as_they_are():
    data = ArrayDataset(ArrayInput(columns(6)[0]), ArrayOutput(columns(6)[1]))
    loader = data.to_dataloader(3, shuffle=False)
    assert feed(data, None, None, 4, None).train.batch_size == 4
    assert feed(loader, data, None, None, None).train is loader
    both = feed((loader, loader), None, None, None, None)
    assert (both.train, both.dev) == (loader, loader)


def test_a_published_source_comes_with_what_to_evaluate_on(backend):
    found = feed(MINI, None, None, 100, None)
    assert (found.train.num_samples, found.dev.num_samples) == (6000, 1000)
    assert found.settings["source"] == "fashion_mnist"
    held = feed(MINI, None, 0.1, None, None)
    assert (held.train.num_samples, held.dev.num_samples) == (5400, 600)
    other = feed(MINI, load_dataset("fashion_mnist", "test", "mini").filter(lambda token: token < 7), None, None, None)
    assert other.dev.num_samples == 7


def test_held_out_samples_are_each_on_one_side_and_chosen_by_the_seed():
    x = np.arange(50, dtype=np.float32)[:, None]

    def sides(seed):
        with babel_dl.use_seed(seed):
            found = feed((x, x), None, 0.3, None, None)
        return [sorted(float(sample.x[0]) for sample, _ in loader.dataset) for loader in (found.train, found.dev)]

    train, dev = sides(0)
    assert len(dev) == 15
    assert sorted(train + dev) == x.ravel().tolist()
    assert dev != list(range(15))
    assert sides(0) == [train, dev]
    assert sides(1) != [train, dev]


def test_a_fields_name_need_not_be_that_of_the_only_parameter(backend):
    class Net(Module):
        def build(self, picture):
            self.flat, self.dense = Flatten(), FullyConnected(3)

        def call(self, picture):
            return self.dense(self.flat(picture.astype("float32")))

    x, y = pictures()
    result = babel_dl.fit((Image(x), Label(y)), Net(), steps=1, run_folder=False)
    assert len(result.trainer.predict(ArrayDataset(Image(x), Label(y)))) == 10


@pytest.mark.parametrize(
    ("data", "options", "text"),
    [
        ("mnits", {}, "There is no data source 'mnits'. Did you mean 'mnist'?"),
        ({"name": "mnist", "dta": "mini"}, {}, "The data source 'mnist' has no argument 'dta'. Did you mean 'data'?"),
        ((1, 2, 3), {}, r"fit got a tuple of 3 as data. It takes \(x, y\), \(\(x, y\), \(x_dev, y_dev\)\), or \(train, dev\)."),
        (columns(4), {"dev_data": columns(4), "dev_fraction": 0.5}, "fit got dev_data and dev_fraction. Give one"),
        ((columns(4), columns(4)), {"dev_fraction": 0.5}, "fit got data to evaluate on twice"),
        ((columns(4), columns(4)), {"dev_data": columns(4)}, "fit got data to evaluate on twice"),
        (columns(4), {"dev_fraction": 1.0}, "fit needs dev_fraction above 0 and below 1, and got 1.0"),
        (columns(4), {"dev_fraction": 0.01}, "fit cannot hold 0.01 of 4 samples out: that leaves one of the two without any."),
        (({"a b": columns(4)[0]}, columns(4)[1]), {}, r"fit names the arrays of a dict by its keys, and \['a b'\] will not do"),
        ((columns(4)[0], "labels"), {}, "fit got str in the place of the array y"),
    ],
)
def test_data_of_no_known_form_are_refused(data, options, text):
    with pytest.raises(ArgumentError, match=text):
        babel_dl.fit(data, Scores, {"num_classes": 3}, run_folder=False, **options)


def test_a_loader_has_a_batch_size_and_transformers_of_its_own():
    loader = ArrayDataset(ArrayInput(columns(6)[0]), ArrayOutput(columns(6)[1])).to_dataloader(3)
    assert feed(loader, None, None, 3, None).train is loader
    with pytest.raises(ArgumentError, match="fit got batch_size=4 and a loader, which has its own"):
        feed(loader, None, None, 4, None)
    with pytest.raises(ArgumentError, match="fit cannot transform what a loader hands over"):
        feed(loader, None, None, None, {"transform": "as_type", "dtype": "float32"})
    with pytest.raises(ArgumentError, match="fit cannot hold samples out of a loader"):
        feed(loader, None, 0.5, None, None)


def test_an_input_that_the_model_does_not_take_is_named(backend):
    class Two(Module):
        def call(self, image, mask):
            return image * mask

    x, y = columns(4)
    with pytest.raises(DataError, match=r"input has the field 'picture', which Two.call does not take.(.*\n)* .* call takes image, mask"):
        babel_dl.fit(({"picture": x, "mask": x}, y), Two(), loss="mse", run_folder=False)
    with pytest.raises(DataError, match="Two.call needs 'mask', which the dataset's input has not."):
        babel_dl.fit(({"image": x}, y), Two(), loss="mse", run_folder=False)


# ---------------------------------------------------------------- transformers


def test_to_tensor_makes_pictures_ready():
    x, y = pictures()
    found = feed(((x, y), (x, y)), None, None, None, "to_tensor")
    for loader in (found.train, found.dev):
        assert loader.dataset.is_gathered
        samples = np.stack([sample.x for sample, _ in loader.dataset])
        np.testing.assert_array_equal(samples, x[..., None].astype(np.float32) / np.float32(255.0))
    assert found.settings["transform"] == [{"name": "to_tensor", "fields": ["x"]}]


def test_transformers_work_in_their_order_and_what_draws_in_training_alone():
    x, y = pictures(40)
    steps = ["to_tensor", {"transform": "random_flip", "probability": 1.0}, {"transform": "normalize", "mean": 0.5, "std": 2.0}]
    found = feed(((x, y), (x, y)), None, None, None, steps)
    ready = x[..., None].astype(np.float32) / np.float32(255.0)
    np.testing.assert_allclose(np.stack([sample.x for sample, _ in found.train.dataset]), (np.flip(ready, axis=2) - 0.5) / 2.0, atol=1e-6)
    np.testing.assert_allclose(np.stack([sample.x for sample, _ in found.dev.dataset]), (ready - 0.5) / 2.0, atol=1e-6)


def test_the_users_dataset_keeps_its_own_transformers():
    x, y = pictures()
    data = ArrayDataset(Image(x), Label(y))
    feed(data, None, None, None, ["to_tensor", "random_flip"])
    assert (data.transformers, data.realtime_transformers) == ([], [])


def test_a_dataset_with_getters_is_transformed_as_it_is_read():
    class Rows(Dataset):
        def __init__(self):
            super().__init__(None, Image, Label)
            self.all_sample_tokens = range(5)

        def get_image(self, token):
            return np.full((2, 2), token, np.uint8)

        def get_label(self, token):
            return np.int32(token)

    found = feed(Rows(), None, None, 5, "to_tensor")
    assert not found.train.dataset.is_gathered
    np.testing.assert_allclose(sorted(batch_of(found.train)[0].image[:, 0, 0, 0] * 255.0), range(5), atol=1e-5)


def test_a_transformer_is_a_name_a_class_a_function_or_an_object():
    x, y = pictures()

    def invert(inp, outp):
        return inp._replace(x=255 - inp.x), outp

    given = [invert, RandomFlip(1.0, fields=("x",))]
    found = feed((x, y), None, None, None, given)
    np.testing.assert_array_equal(np.stack([sample.x for sample, _ in found.train.dataset]), np.flip(255 - x, axis=2))
    assert [one["name"] for one in found.settings["transform"]] == ["invert", "RandomFlip"]
    with pytest.raises(ArgumentError, match="There is no transform 'to_tensr'. Did you mean 'to_tensor'?"):
        feed((x, y), None, None, None, "to_tensr")
