"""Pictures reach PyTorch modules with the channels first, over the same memory, and come back with the channels last."""


import numpy as np
import pytest
import torch
from torch import nn

from babel_dl import ops
from babel_dl.core import NativeModule
from babel_dl.core.native.adoption import as_module
from babel_dl.model.layers import Conv2D, Sequential
from tests.plugins.test_torch_layout import moves_of

pytestmark = [pytest.mark.parametrize("backend_name", ["torch"]), pytest.mark.usefixtures("backend")]

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype(np.float32)



class Witness(nn.Module):
    """Keeps what it was given, and gives it back."""

    def forward(self, x: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
        self.seen, self.more = x, more
        return x


@pytest.mark.parametrize("shape", [(2, 6, 5, 3), (2, 6, 5, 1), (2, 4, 6, 5, 3)], ids=str)
def test_pictures_and_volumes_reach_a_module_as_views_with_channels_first(shape: tuple[int, ...]) -> None:
    native = Witness()
    x = ops.asarray(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    y = as_module(native)(x)
    assert tuple(native.seen.shape) == (shape[0], shape[-1], *shape[1:-1])
    assert native.seen.data_ptr() == x.native.data_ptr() == y.native.data_ptr()
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    np.testing.assert_array_equal(native.seen.numpy(), np.moveaxis(x.numpy(), -1, 1))


@pytest.mark.parametrize("channels_first", [None, True, False])
@pytest.mark.parametrize("ndim", [2, 3, 4, 5])
def test_who_is_turned_can_be_said(channels_first: bool | None, ndim: int) -> None:
    native = Witness()
    shape = (2, 3, 4, 5, 6)[:ndim]
    y = NativeModule(native, channels_first=channels_first)(np.zeros(shape, np.float32), extra=np.zeros(shape, np.float32))
    is_turned = ndim in {None: (4, 5), True: (3, 4, 5), False: ()}[channels_first]
    wanted = (shape[0], shape[-1], *shape[1:-1]) if is_turned else shape
    assert (tuple(native.seen.shape), tuple(native.more["extra"].shape), y.shape) == (wanted, wanted, shape)


def test_a_convolution_of_pytorch_agrees_with_ours() -> None:
    native, ours = nn.Conv2d(3, 4, (3, 2), stride=2, padding=1), Conv2D(4, (3, 2), stride=2, padding=1)
    ours(IMAGES)
    ours.load_state_dict({"/weight": native.weight.detach().permute(2, 3, 1, 0).numpy(), "/bias": native.bias.detach().numpy()})
    np.testing.assert_allclose(as_module(native)(IMAGES).numpy(), ours(IMAGES).numpy(), rtol=1e-5, atol=1e-6)
    sequence = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    found = NativeModule(conv := nn.Conv1d(3, 4, 3), channels_first=True)(sequence).numpy()
    np.testing.assert_allclose(found, conv(torch.tensor(sequence).mT).mT.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_module_of_convolutions_moves_no_data_between_our_layers() -> None:
    native = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)).to(memory_format=torch.channels_last)
    model = Sequential(Conv2D(8, 3), native, Conv2D(4, 1))
    images = ops.asarray(IMAGES)
    model(images)
    assert moves_of(lambda: model(images)) == []


def test_a_module_that_takes_views_of_its_own_results_gets_dense_memory() -> None:
    class Viewing(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(channels, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x).view(len(x), -1)

    for channels in (1, 3):
        native = Viewing(channels)
        x = np.random.default_rng(0).normal(size=(4, 6, 5, channels)).astype(np.float32)
        wanted = native(torch.from_numpy(x).permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)).detach().numpy()
        np.testing.assert_allclose(as_module(native)(x).numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_an_error_of_a_module_that_got_a_turned_picture_says_so() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied") as caught:
        as_module(nn.Linear(3, 2))(IMAGES)
    notes = getattr(caught.value, "__notes__", None)  # Python 3.10 has none
    assert notes is None or "turned its input of shape (2, 6, 5, 3) to channels first" in notes[0]
    assert NativeModule(nn.Linear(3, 2), channels_first=False)(IMAGES).shape == (2, 6, 5, 2)
