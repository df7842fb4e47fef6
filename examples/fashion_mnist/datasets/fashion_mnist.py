"""The data: images of clothing, and their classes."""

import numpy as np
from configs.fashion_mnist import FashionMnistConfig
from datasets.problem import NetworkInput, NetworkOutput

from babel_dl.data import Dataset, Transformer, image_grid_wrap, load_images


class FashionMnistDataset(Dataset):
    """Fashion-MNIST, one sample for each image.

    Args:
        config: Says which data: `problem_data` is "full" or "mini".
        split: `SPLIT_TRAIN` or `SPLIT_DEV`.
    """

    def __init__(self, config: FashionMnistConfig, split: str) -> None:
        super().__init__(config, dataset_input_type=NetworkInput, dataset_output_type=NetworkOutput)
        self.images, self.labels = load_images("fashion_mnist", split, data=config.problem_data)
        self.all_sample_tokens = range(len(self.images))

    def get_image(self, sample_token: int) -> np.ndarray:
        """The image, (28, 28), uint8."""
        return self.images[sample_token]

    def get_class_id(self, sample_token: int) -> np.ndarray:
        """The class, from 0 to 9."""
        return self.labels[sample_token]

    def _get_version(self) -> str:
        return f"FashionMnistDataset-{self.config.problem_data}"


class ImageTransformer(Transformer):
    """Makes images ready for the network: (28, 28) to (28, 28, 1). They stay uint8, and become float on the device."""

    def __call__(self, inp: NetworkInput, outp: NetworkOutput) -> tuple[NetworkInput, NetworkOutput]:
        """The sample with its image as a grid."""
        return NetworkInput(image=image_grid_wrap(inp.image)), outp

    @property
    def version(self) -> str:
        """Changes when the result does, so that no old cache is served."""
        return "ImageTransformer-1"


def make_dataset(config: FashionMnistConfig, split: str) -> Dataset:
    """The split, transformed once and held in memory, so that whole batches are gathered at a time."""
    dataset = FashionMnistDataset(config, split)
    dataset.transformers.append(ImageTransformer())
    return dataset.cached()
