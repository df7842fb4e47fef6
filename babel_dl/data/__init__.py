"""Data: datasets, transformers, loaders and sources. The same batches on every backend."""

from babel_dl.core.registry import register_transformer
from babel_dl.data.array_dataset import ArrayDataset
from babel_dl.data.augmentation import RandomCrop, RandomFlip, RandomHorizontalFlip, RandomVerticalFlip
from babel_dl.data.batch import Batch
from babel_dl.data.batch_transformer import BatchTransformer
from babel_dl.data.colour import ColorJitter
from babel_dl.data.conversion import AsType, CenterCrop, Compose, Normalize, ToTensor
from babel_dl.data.dataset import Dataset
from babel_dl.data.erasing import RandomErasing
from babel_dl.data.image_grid import image_grid_unwrap, image_grid_wrap
from babel_dl.data.loader import DataLoader
from babel_dl.data.sources import ClassOutput, ImageInput, load_dataset, load_images, read_idx
from babel_dl.data.splits import SPLIT_DEV, SPLIT_TEST, SPLIT_TRAIN
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample, Transformer

__all__ = [
    "SPLIT_DEV", "SPLIT_TEST", "SPLIT_TRAIN", "ArrayDataset", "AsType", "Batch", "BatchTransformer", "CenterCrop", "ClassOutput",
    "ColorJitter", "Compose", "DataLoader", "Dataset", "ImageInput", "Normalize", "RandomCrop", "RandomErasing", "RandomFlip",
    "RandomHorizontalFlip", "RandomVerticalFlip", "Sample", "SampleStreams", "ToTensor", "Transformer", "image_grid_unwrap",
    "image_grid_wrap", "load_dataset", "load_images", "read_idx", "register_transformer",
]
