"""Published data sets by name: `load_dataset("fashion_mnist", "train")`."""

from babel_dl.data.sources.catalog import SOURCES, Source, SourceFile
from babel_dl.data.sources.idx import format_idx, read_idx
from babel_dl.data.sources.load import ClassOutput, ImageInput, load_dataset, load_images

__all__ = ["SOURCES", "ClassOutput", "ImageInput", "Source", "SourceFile", "format_idx", "load_dataset", "load_images", "read_idx"]
