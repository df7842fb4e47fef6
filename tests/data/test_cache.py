"""The cache on disk: it never serves what is damaged, out of date, or of another dataset."""

import logging
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babel_dl.data import AsType, Compose, Dataset, Transformer
from babel_dl.errors import DataError
from tests.data.examples import FashionDataset, NetworkInput, NetworkOutput, Noise, Wrap, batches_equal

LABELED = namedtuple("LABELED", ["image", "brightness"])


@pytest.fixture
def log(caplog, monkeypatch):
    """The lines of babel_dl's logger, which hands none up to the root by itself."""
    monkeypatch.setattr(logging.getLogger("babel_dl"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="babel_dl")
    return caplog


def cached_dataset(folder, **changes):
    data = FashionDataset(num_samples=6, cache_dir=folder, **changes)
    data.transformers.append(Wrap())
    return data


def items(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "about.json")


def test_first_read_of_an_empty_folder_gives_the_sample(tmp_path):
    data = cached_dataset(tmp_path / "new")
    assert len(data) == 6
    image = data[0][0].image
    assert image.shape == (28, 28, 1) and np.array_equal(image[:, :, 0], FashionDataset()[0][0].image)


def test_second_read_comes_from_disk_with_the_same_bits(tmp_path):
    first, second = cached_dataset(tmp_path), cached_dataset(tmp_path)
    samples = list(first)
    again = list(second)
    assert (first.num_reads, second.num_reads) == (6, 0)
    assert batches_equal(samples, again)
    assert isinstance(again[0][0], NetworkInput) and isinstance(again[0][1], NetworkOutput)


def test_stored_samples_belong_to_the_caller(tmp_path):
    data = cached_dataset(tmp_path)
    data[0][0].image[...] = 7
    data[0][0].image[...] = 8
    assert np.array_equal(data[0][0].image[:, :, 0], FashionDataset()[0][0].image)


def test_realtime_transformers_run_behind_the_cache(tmp_path):
    data = cached_dataset(tmp_path)
    data.realtime_transformers.append(Noise())
    one, two = data.sample(0, epoch=0)[0].image, data.sample(0, epoch=1)[0].image
    assert data.num_reads == 1 and not np.array_equal(one, two)


def test_cache_holds_no_pickle(tmp_path):
    list(cached_dataset(tmp_path))
    assert all(path.read_bytes()[8:9] == b"{" for path in items(tmp_path))  # safetensors: length, then JSON


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_altered_item_is_never_served(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    expected = list(cached_dataset(folder))
    path = data.draw(st.sampled_from(items(folder)))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert batches_equal(list(cached_dataset(folder)), expected)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_torn_item_is_never_served(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    expected = list(cached_dataset(folder))
    path = data.draw(st.sampled_from(items(folder)))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    again = cached_dataset(folder)
    assert batches_equal(list(again), expected) and again.num_reads == 1
    assert path.read_bytes() == content


def test_damaged_item_is_rebuilt_with_a_log_line(tmp_path, log):
    list(cached_dataset(tmp_path))
    path = items(tmp_path)[0]
    path.write_bytes(b"")
    list(cached_dataset(tmp_path))
    assert "The cached sample of token" in log.text and f"{path} is damaged" in log.text


def test_item_of_another_sample_is_never_served(tmp_path):
    expected = list(cached_dataset(tmp_path))
    first, second = items(tmp_path)[:2]
    first.write_bytes(second.read_bytes())
    assert batches_equal(list(cached_dataset(tmp_path)), expected)


class Scaled(Transformer):
    """A transformer with a version that tests change."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, inp, outp):
        return inp._replace(image=inp.image * np.float32(self.factor)), outp

    @property
    def version(self):
        return str(self.factor)


def test_transformer_of_another_version_is_not_mixed_up(tmp_path, log):
    for factor in (1, 2, 1):
        data = FashionDataset(num_samples=2, cache_dir=tmp_path)
        data.transformers.append(Scaled(factor))
        assert np.array_equal(data[1][0].image, FashionDataset()[1][0].image * factor)
    assert "is out of date (changed: transformers). It is made again." in log.text


def test_transformer_added_after_the_first_read_counts(tmp_path):
    data = cached_dataset(tmp_path)
    before = data[0][0].image
    data.transformers.append(Scaled(3))
    assert np.array_equal(data[0][0].image, before * 3)


def test_content_of_another_version_is_not_mixed_up(tmp_path, log):
    class Changing(FashionDataset):
        release = 1

        def get_image(self, sample_token):
            return np.full((2, 2), self.release, "float32")

        def _get_version(self):
            return f"release {self.release}"

    assert Changing(cache_dir=tmp_path)[0][0].image.max() == 1
    Changing.release = 2
    assert Changing(cache_dir=tmp_path)[0][0].image.max() == 2
    assert "(changed: version)" in log.text


def test_changed_configuration_is_not_mixed_up(tmp_path, log):
    class Sized(FashionDataset):
        def get_image(self, sample_token):
            return np.zeros((self.config.problem_size, 2), "float32")

    config = SimpleNamespace(problem_size=2)
    data = Sized(config, cache_dir=tmp_path)
    assert data[0][0].image.shape == (2, 2)
    config.problem_size = 3
    assert data[0][0].image.shape == (3, 2)
    assert "(changed: configuration.problem_size)" in log.text


def test_splits_are_not_mixed_up(tmp_path):
    for split in ("train", "dev"):
        data = FashionDataset(split=split, num_samples=6, cache_dir=tmp_path)
        assert np.array_equal(data[0][0].image, FashionDataset(split=split)[0][0].image)


def test_filters_are_not_mixed_up(tmp_path, log):
    data = cached_dataset(tmp_path)
    list(data)
    odd = data.filter(lambda token: token % 2 == 1)
    assert np.array_equal(odd[0][0].image, data[1][0].image)
    assert "out of date" not in log.text


def test_other_named_tuples_of_a_transformer_come_back(tmp_path):
    class Add(Transformer):
        def __call__(self, inp, outp):
            return LABELED(inp.image, inp.image.mean()), outp

        @property
        def version(self):
            return "Add"

    for _ in range(2):
        data = FashionDataset(num_samples=3, cache_dir=tmp_path)
        data.transformers.append(Add())
        inp, _ = data[2]
        assert isinstance(inp, LABELED) and inp.brightness == FashionDataset()[2][0].image.mean()


def test_workers_and_threads_share_a_cache(tmp_path):
    data = cached_dataset(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        samples = list(pool.map(data.__getitem__, list(range(6)) * 5))
    assert batches_equal(samples[:6], samples[24:])
    from_workers = list(cached_dataset(tmp_path / "other").to_dataloader(batch_size=2, num_workers=2, seed=1))
    assert batches_equal(from_workers, list(data.to_dataloader(batch_size=2, seed=1)))
    assert len(items(tmp_path / "other")) == 6 and not list(tmp_path.rglob("*.part"))


def test_folder_that_cannot_be_written_costs_the_cache_only(tmp_path, log):
    (tmp_path / "file").write_text("not a folder")
    data = cached_dataset(tmp_path / "file")
    assert len(list(data)) == 6 and data.num_reads == 6
    assert log.text.count("cannot be written") == 1


def test_transformer_without_a_version_is_refused_before_a_cache(tmp_path):
    data = FashionDataset(cache_dir=tmp_path)
    data.transformers.append(lambda inp, outp: (inp, outp))
    with pytest.raises(DataError, match="The transformer <lambda> runs before the cache and has no version"):
        data[0]


def test_texts_are_refused_with_a_way_out(tmp_path):
    class Texts(FashionDataset):
        def get_class_id(self, sample_token):
            return "shoe"

    with pytest.raises(DataError, match=r"The sample of token 0 cannot be kept on disk \(input/image: float32, output/class_id: <U4\)"):
        Texts(cache_dir=tmp_path)[0]


def test_token_without_content_is_refused(tmp_path):
    data = FashionDataset(cache_dir=tmp_path)
    data.all_sample_tokens = [object()]
    with pytest.raises(DataError, match="A cache cannot tell the sample token <object object at .*> from others"):
        data[0]


def test_versions_of_composed_transformers_tell_their_settings():
    assert Compose([AsType("float32"), Wrap()]).version != Compose([AsType("uint8"), Wrap()]).version


def test_version_of_a_class_that_states_none_changes_with_its_code():
    def plain(scale):
        body = f"""
class Plain(FashionDataset):
    _get_version = Dataset._get_version
    def get_image(self, sample_token):
        return super().get_image(sample_token) * {scale}
"""
        names = {"FashionDataset": FashionDataset, "Dataset": Dataset, "__name__": "project"}
        exec(body, names)
        return names["Plain"]().version

    assert plain(2) == plain(2) and plain(2) != plain(3)
