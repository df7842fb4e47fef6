"""Samples on disk: one file each, written whole or not at all, verified whenever it is read, and never read under another key.

    <cache_dir>/<key>/about.json        what the key was made from, for people
    <cache_dir>/<key>/<xx>/<token>      one sample: safetensors, with the SHA-256 of its content in the metadata

The key is a digest of: class, arguments and content version of the dataset, versions of its transformers, configuration, tokens.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from babel_dl.data.fields import NamedTupleType
from babel_dl.data.fingerprint import (
    changed_parts,
    digest,
    fingerprint,
    public_fields,
    token_text,
    tokens_digest,
    transformer_version,
)
from babel_dl.data.transformer import Sample
from babel_dl.errors import DataError

if TYPE_CHECKING:
    from babel_dl.data.dataset import Dataset

FORMAT = 1
_log = logging.getLogger("babel_dl.data")


class _Known(NamedTuple):
    """What the tokens and the version were when they were last looked at, so that a read need not look again."""

    tokens: Sequence[Any]
    num_tokens: int
    version: str
    tokens_digest: str


class SampleCache:
    """The samples of one dataset in a folder. Several processes may use it at the same time.

    Args:
        folder: Where; made when the first sample is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: _Known | None = None
        self._types: tuple[NamedTupleType, NamedTupleType] | None = None
        self._announced = ""
        self._is_writable = True

    def sample(self, dataset: "Dataset", token: Any, compute: Callable[[Any], Sample]) -> Sample:
        """The sample of a token: the stored one if it is whole and of the present key, else a new one, which is stored.

        Args:
            dataset: Whose sample it is.
            token: Which one.
            compute: Makes the sample.

        Raises:
            DataError: `compute` failed, or the sample or the token cannot be stored.
        """
        about = self._about(dataset)
        key = digest(json.dumps(about, sort_keys=True))
        item = digest(token_text(token))
        path = self.folder / key / item[:2] / item
        fields = self._read(path, f"{key}/{item}", token)
        if fields is not None:
            return self._from_fields(fields, dataset, token, compute)
        self._announce(key, about)
        sample = compute(token)
        self._types = type(sample[0]), type(sample[1])
        if self._is_writable:
            self._write(path, f"{key}/{item}", _to_fields(sample), about, token)
        return sample

    def _about(self, dataset: "Dataset") -> dict[str, Any]:
        tokens, known = dataset.all_sample_tokens, self._known
        if known is None or known.tokens is not tokens or known.num_tokens != len(tokens):
            known = self._known = _Known(tokens, len(tokens), dataset.version, tokens_digest(tokens))
        return {
            "format": FORMAT,
            "dataset": f"{type(dataset).__module__}.{type(dataset).__qualname__}",
            "arguments": dataset._arguments,
            "version": known.version,
            "transformers": [transformer_version(transformer) for transformer in dataset.transformers],
            "configuration": {name: fingerprint(value) for name, value in sorted(public_fields(dataset.config).items())},
            "tokens": known.tokens_digest,
        }

    def _read(self, path: Path, name: str, token: Any) -> dict[str, np.ndarray] | None:
        try:
            return _verified(path.read_bytes(), name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            _log.warning("The cached sample of token %r in %s is damaged (%s). It is made again.", token, path, error)
            return None

    def _write(self, path: Path, name: str, fields: dict[str, np.ndarray], about: dict[str, Any], token: Any) -> None:
        try:
            content = save(fields, {"sha256": _content_digest(fields, name)})
        except (SafetensorError, ValueError, KeyError) as error:
            kinds = ", ".join(f"{field}: {array.dtype}" for field, array in fields.items())
            raise DataError(
                f"The sample of token {token!r} cannot be kept on disk ({kinds}).\n  {error}\n"
                f"  Turn texts into numbers in a transformer, or leave out cache_dir."
            ) from error
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path.parent.parent / "about.json", json.dumps(about, indent=1).encode(), only_new=True)
            _replace(path, content)
        except OSError as error:
            self._is_writable = False
            _log.warning("The cache %s cannot be written (%s). Samples are made anew each time.", self.folder, error)

    def _from_fields(self, fields: dict[str, np.ndarray], dataset: "Dataset", token: Any, compute: Callable[[Any], Sample]) -> Sample:
        parts = _part_fields(fields, "input"), _part_fields(fields, "output")
        if self._types is None:
            declared = dataset.dataset_input_type, dataset.dataset_output_type
            if all(set(kind._fields) == set(part) for kind, part in zip(declared, parts, strict=True)):
                self._types = declared
            else:  # a transformer returns other named tuples; a file names no class, so one sample has to be made to see them
                made = compute(token)
                self._types = type(made[0]), type(made[1])
        return self._types[0](**parts[0]), self._types[1](**parts[1])

    def _announce(self, key: str, about: dict[str, Any]) -> None:
        if self._announced == key:
            return
        self._announced = key
        if (self.folder / key).exists():
            return
        for path in sorted(self.folder.glob("*/about.json")):
            try:
                old = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            if isinstance(old, dict) and all(old.get(name) == about[name] for name in ("dataset", "arguments")):
                changed = changed_parts(old, about)
                if changed != ["tokens"]:  # other tokens alone are another view, such as a filter
                    text = "The cache %s of %s is out of date (changed: %s). It is made again."
                    _log.warning(text, path.parent, about["dataset"], ", ".join(changed))


def _to_fields(sample: Sample) -> dict[str, np.ndarray]:
    fields = {}
    for part, values in zip(("input", "output"), sample, strict=True):
        fields |= {f"{part}/{name}": np.asarray(value, order="C") for name, value in zip(values._fields, values, strict=True)}
    return fields


def _part_fields(fields: dict[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {name.partition("/")[2]: array for name, array in fields.items() if name.partition("/")[0] == part}


def _content_digest(fields: dict[str, np.ndarray], name: str) -> str:
    sha = hashlib.sha256(name.encode())
    for field, array in sorted(fields.items()):
        sha.update(f"|{field}|{array.dtype.str}|{array.shape}|".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _verified(content: bytes, name: str) -> dict[str, np.ndarray]:
    header = int.from_bytes(content[:8], "little")
    stated = json.loads(content[8 : 8 + header])["__metadata__"]["sha256"]
    fields = load(content)
    if _content_digest(fields, name) != stated:
        raise ValueError("its content does not have the digest it states")
    return {field: np.array(array) for field, array in fields.items()}  # the file's own memory is read-only


def _replace(path: Path, content: bytes, only_new: bool = False) -> None:
    if only_new and path.exists():
        return
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)  # no fsync: after a power cut the digest does not fit, and the sample is made again
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
