"""Datasets and transformers that worker processes can import."""

import os
import signal
from collections import namedtuple
from functools import cache

import numpy as np

from babel_dl.data import Dataset, Transformer, image_grid_wrap, load_images

NetworkInput = namedtuple("NetworkInput", ["image"])
NetworkOutput = namedtuple("NetworkOutput", ["class_id"])


@cache
def embedded(split="dev"):
    """Pictures and classes of the embedded subset; not to be written to."""
    images, labels = load_images("fashion_mnist", split, data="mini")
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


class FashionDataset(Dataset):
    """The tutorial's dataset on the embedded pictures: one getter a field, float32 pictures without a channel axis."""

    def __init__(self, config=None, split="dev", num_samples=50, cache_dir=None):
        super().__init__(config, dataset_input_type=NetworkInput, dataset_output_type=NetworkOutput, cache_dir=cache_dir)
        images, labels = embedded(split)
        self.dataset = list(zip(images[:num_samples], labels[:num_samples], strict=True))
        self.all_sample_tokens = range(len(self.dataset))
        self.num_reads = 0

    def get_image(self, sample_token):
        self.num_reads += 1
        image, _ = self.dataset[sample_token]
        return np.array(image, dtype="float32")

    def get_class_id(self, sample_token):
        return np.array(self.dataset[sample_token][1], dtype="uint8")

    def _get_version(self):
        return "FashionDataset"


class Wrap(Transformer):
    """The tutorial's transformer; it does not call its parent's constructor."""

    def __init__(self):
        pass

    def __call__(self, inp, outp):
        return NetworkInput(image=image_grid_wrap(inp.image)), outp

    @property
    def version(self):
        return "Wrap"


class Noise(Transformer):
    """Draws."""

    def __call__(self, inp, outp, *, rng):
        return inp._replace(image=inp.image + rng.normal(size=inp.image.shape).astype("float32")), outp

    @property
    def version(self):
        return "Noise"


class FailAt(Transformer):
    """Fails for one class."""

    def __init__(self, class_id):
        self.class_id = class_id

    def __call__(self, inp, outp):
        if outp.class_id == self.class_id:
            raise KeyError("no such class")
        return inp, outp

    @property
    def version(self):
        return f"FailAt({self.class_id})"


class KillProcess(Transformer):
    """Ends the process it runs in, as the system does when memory is short."""

    def __call__(self, inp, outp):
        os.kill(os.getpid(), signal.SIGKILL)
        return inp, outp

    @property
    def version(self):
        return "KillProcess"


class NoteProcess(Transformer):
    """Puts the id of the process into the output."""

    def __call__(self, inp, outp):
        return inp, outp._replace(class_id=np.int32(os.getpid()))

    @property
    def version(self):
        return "NoteProcess"


def batches_equal(first, second):
    """Whether two lists of batches hold the same bits."""
    return len(first) == len(second) and all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for one, two in zip(first, second, strict=True)
        for part, other in zip(one, two, strict=True)
        for a, b in zip(part, other, strict=True)
    )
