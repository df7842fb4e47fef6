"""Datasets as the data types of the frameworks."""

import jax
import numpy as np
import pytest
import tensorflow as tf
import torch

from babel_dl import JAX_BACKEND
from babel_dl.core import use_seed
from babel_dl.data import RandomFlip
from babel_dl.data.bridges import to_native
from babel_dl.errors import ArgumentError, DTypeError
from tests.data.examples import FailAt, FashionDataset, NetworkInput, NetworkOutput, Noise, Wrap


def augmented():
    data = FashionDataset()
    data.realtime_transformers += [Wrap(), RandomFlip(), Noise()]
    return data


def test_torch_view_gives_the_samples_as_tensors():
    data = augmented()
    view = data.to_torch(seed=4)
    view.set_epoch(2)
    inp, outp = view[3]
    assert isinstance(view, torch.utils.data.Dataset) and len(view) == 50
    assert isinstance(inp, NetworkInput) and inp.image.dtype == torch.float32 and outp.class_id.dtype == torch.uint8
    assert np.array_equal(inp.image.numpy(), data.sample(3, epoch=2, seed=4)[0].image)


def test_torch_loader_takes_the_view():
    data = augmented()
    view = data.to_torch()
    batches = list(torch.utils.data.DataLoader(view, batch_size=20))
    expected = list(data.to_dataloader(batch_size=20, shuffle=False))
    for (inp, outp), (ours, wanted) in zip(batches, expected, strict=True):
        assert isinstance(inp, NetworkInput) and isinstance(outp, NetworkOutput)
        assert np.array_equal(inp.image.numpy(), ours.image) and np.array_equal(outp.class_id.numpy(), wanted.class_id)


def test_torch_view_takes_the_seed_in_force_when_it_is_made():
    with use_seed(12):
        view = augmented().to_torch()
    assert view.seed == 12


def test_torch_view_ends_where_the_dataset_does():
    with pytest.raises(IndexError, match="FashionDataset has 50 samples, and no index 50"):
        augmented().to_torch()[50]


def test_torch_view_names_types_that_torch_lacks():
    data = FashionDataset()
    data.transformers.append(lambda inp, outp: (inp, outp._replace(class_id="shoe")))
    with pytest.raises(DTypeError, match="PyTorch"):
        data.to_torch()[0]


def test_tensorflow_batches_are_those_of_the_loader_epoch_after_epoch():
    data = augmented()
    dataset = data.to_tfdata(batch_size=16, seed=4, drop_last=False)
    loader = data.to_dataloader(batch_size=16, seed=4)
    assert isinstance(dataset, tf.data.Dataset) and len(dataset) == 4
    for epoch in range(2):
        for (inp, outp), (ours, wanted) in zip(dataset, loader.batches(epoch), strict=True):
            assert isinstance(inp, NetworkInput) and isinstance(outp, NetworkOutput)
            assert np.array_equal(inp.image.numpy(), ours.image) and np.array_equal(outp.class_id.numpy(), wanted.class_id)


def test_tensorflow_knows_the_shapes():
    inputs, outputs = augmented().to_tfdata(batch_size=16).element_spec
    assert inputs.image == tf.TensorSpec((None, 28, 28, 1), tf.float32) and outputs.class_id == tf.TensorSpec((None,), tf.uint8)


def test_tensorflow_samples_come_in_their_own_order():
    data = augmented()
    samples = list(data.to_tfdata(seed=1))
    assert len(samples) == 50
    assert all(np.array_equal(inp.image.numpy(), data.sample(i, seed=1)[0].image) for i, (inp, _) in enumerate(samples))


def test_tensorflow_shows_the_failure_of_a_transformer():
    data = FashionDataset()
    data.realtime_transformers.append(FailAt(int(data[20][1].class_id)))
    with pytest.raises(tf.errors.OpError, match="The transformer FailAt failed for the sample token"):
        list(data.to_tfdata(batch_size=4))


def test_options_of_batches_are_refused_for_samples():
    with pytest.raises(ArgumentError, match="to_tfdata: shuffle came without batch_size"):
        augmented().to_tfdata(shuffle=True)


def test_jax_batches_are_those_of_the_loader_epoch_after_epoch():
    data = augmented()
    batches = to_native(data, JAX_BACKEND, batch_size=16, seed=4)
    loader = data.to_dataloader(batch_size=16, seed=4)
    assert len(batches) == 4
    for epoch in range(2):
        for (inp, outp), (ours, wanted) in zip(batches, loader.batches(epoch), strict=True):
            assert isinstance(inp.image, jax.Array) and isinstance(outp, NetworkOutput)
            assert np.array_equal(inp.image, ours.image) and np.array_equal(outp.class_id, wanted.class_id)


def test_jax_refuses_what_it_would_silently_narrow():
    data = FashionDataset()
    data.transformers.append(lambda inp, outp: (inp, outp._replace(class_id=np.int64(3))))
    with pytest.raises(DTypeError, match="64"):
        list(to_native(data, JAX_BACKEND))
