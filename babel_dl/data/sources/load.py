"""From the name of a source to its arrays: looks in folders, then on the network."""

import hashlib
import os
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from babel_dl.data.array_dataset import ArrayDataset
from babel_dl.data.sources.catalog import SOURCES, Source, SourceFile, files_of, find_source, owner_of
from babel_dl.data.sources.download import download
from babel_dl.data.sources.idx import parse_idx, read_decompressed, read_idx
from babel_dl.errors import ArgumentError, DataError, did_you_mean

DATA_DIR_VARIABLE = "BABEL_DL_DATA_DIR"
DATA_FULL, DATA_MINI = "full", "mini"
EMBEDDED = Path(__file__).parent / "embedded"

ImageInput = namedtuple("ImageInput", ["image"])
ClassOutput = namedtuple("ClassOutput", ["class_id"])


def load_dataset(
    name: str, split: str, data: str = DATA_FULL, data_dir: str | Path | None = None, config: Any = None
) -> ArrayDataset:
    """A source as a dataset.

    Args:
        name: `"fashion_mnist"` or `"mnist"`.
        split: `"train"`, `"dev"` or `"test"`; the last two are the same published 10,000 pictures.
        data: `"full"`, or `"mini"` for the subset that comes with babel_dl and needs no network.
        data_dir: A folder to look into first, and to download to.
        config: The configuration of the project.

    Shapes:
        image: (28, 28, 1), uint8.      class_id: (), uint8.

    Raises:
        ArgumentError: There is no such source, split or amount of data.
        DataError: A file is truncated or altered, or there is none and it cannot be downloaded.

    Example:
        >>> len(load_dataset("fashion_mnist", "dev", data="mini"))
        1000
    """
    images, labels = load_images(name, split, data, data_dir)
    return ArrayDataset(ImageInput(image=images[:, :, :, None]), ClassOutput(class_id=labels), config, version=_version(name, split, data))


def load_images(name: str, split: str, data: str = DATA_FULL, data_dir: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and classes of a source, verified against the published content.

    Looks into, in this order: `data_dir`, the folder that `BABEL_DL_DATA_DIR` names (each with and without a subfolder of the source's
    name), the folders of system packages, the user's cache. Then it downloads, into the first of these folders that the user chose.

    Args:
        name: `"fashion_mnist"` or `"mnist"`.
        split: `"train"`, `"dev"` or `"test"`.
        data: `"full"`, or `"mini"` for the embedded subset.
        data_dir: A folder to look into first, and to download to.

    Shapes:
        pictures: (samples, 28, 28), uint8.      classes: (samples,), uint8.

    Raises:
        ArgumentError: There is no such source, split or amount of data.
        DataError: A file is truncated or altered, or there is none and it cannot be downloaded.
    """
    source = find_source(name)
    images, labels = files_of(source, split)
    if data not in (DATA_FULL, DATA_MINI):
        raise ArgumentError(f"data is {data!r}, and must be 'full' or 'mini'.{did_you_mean(str(data), (DATA_FULL, DATA_MINI))}")
    if data == DATA_MINI:
        return _load_embedded(source, split)
    return _load_file(source, images, data_dir), _load_file(source, labels, data_dir)


def folders_of(source: Source, data_dir: str | Path | None = None) -> Iterator[Path]:
    """The folders where the files of a source may lie, the first one to look into first.

    Args:
        source: Which one.
        data_dir: A folder that the user named.
    """
    for folder in _chosen_folders(data_dir):
        yield from (folder / source.name, folder)
    yield from map(Path, source.system_folders)
    yield _user_cache() / source.name


def _chosen_folders(data_dir: str | Path | None) -> list[Path]:
    return [Path(folder).expanduser() for folder in (data_dir, os.environ.get(DATA_DIR_VARIABLE)) if folder]


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "babel_dl"


def _load_file(source: Source, file: SourceFile, data_dir: str | Path | None) -> np.ndarray:
    folders = list(folders_of(source, data_dir))
    for folder in folders:
        for name in (file.name, file.name.removesuffix(".gz")):
            if (folder / name).is_file():
                array = _read_if_ours(folder / name, file)
                if array is not None:
                    return array
    target = [*_chosen_folders(data_dir), _user_cache()][0] / source.name
    try:
        path = download(file, source.urls, target)
    except DataError as error:
        raise DataError(_nowhere(source, file, folders, error)) from error
    return read_idx(path, file.sha256)


def _read_if_ours(path: Path, file: SourceFile) -> np.ndarray | None:
    """The array; `None` if the file belongs to a sister source, whose files have the same names."""
    content = read_decompressed(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 == file.sha256:
        return parse_idx(content, path)
    return None if owner_of(sha256) else read_idx(path, file.sha256)


def _nowhere(source: Source, file: SourceFile, folders: list[Path], error: DataError) -> str:
    ways = [f"Put it into one of these folders, or set {DATA_DIR_VARIABLE} to a folder that has it."]
    if source.package:
        ways.append(f"Debian and Ubuntu have it: {source.package}")
    if source.mini:
        ways.append(f'Or use the subset that comes with babel_dl: data="{DATA_MINI}"')
    places = "\n    ".join(map(str, dict.fromkeys(folders)))
    details = str(error).replace("\n", "\n  ")
    return f"{source.name}: the file {file.name} was not found in\n    {places}\n  {details}\n  " + "\n  ".join(ways)


def _load_embedded(source: Source, split: str) -> tuple[np.ndarray, np.ndarray]:
    if split not in source.mini:
        have = ", ".join(name for name, other in SOURCES.items() if other.mini)
        raise DataError(f'{source.name}: no subset comes with babel_dl, only of: {have}. Use data="{DATA_FULL}".')
    images, labels = (read_idx(EMBEDDED / source.name / file.name, file.sha256) for file in source.mini[split])
    return images, labels


def _version(name: str, split: str, data: str) -> str:
    source = find_source(name)
    files = (source.mini if data == DATA_MINI else source.files)[split]
    return f"{name}/{split}/{data}:{'-'.join(file.sha256[:12] for file in files)}"
