"""Configurations as JSON files. Writing is atomic: after a crash or on a full disk, the file is the old one or the new one."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from babel_dl.errors import ConfigError


def write_config(path: str | os.PathLike[str], class_name: str, fields: Mapping[str, Any]) -> None:
    """Writes the fields of a configuration.

    Args:
        path: The file; its folder is made.
        class_name: The class of the configuration, for readers; loading does not use it.
        fields: Plain data by field name.

    Raises:
        ConfigError: The file cannot be written. A file that was there before is untouched.
    """
    text = json.dumps({"config": class_name, "fields": fields}, indent=2) + "\n"
    try:
        _write_atomically(os.path.abspath(path), text)
    except OSError as error:
        advice = "A file that was there before is untouched. Free space, or choose a folder that can be written."
        raise ConfigError(f"{class_name} cannot be saved to {os.fspath(path)}: {error}. {advice}") from error


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the fields of a configuration.

    Args:
        path: A file that `write_config` wrote.

    Returns:
        Plain data by field name.

    Raises:
        ConfigError: There is no such file, or it holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise ConfigError(f"The configuration {os.fspath(path)} cannot be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        advice = "Save it anew with config.save()."
        raise ConfigError(f"The file {os.fspath(path)} is no configuration: it is not valid JSON ({error}). {advice}") from error
    fields = content.get("fields") if isinstance(content, dict) else None
    if not isinstance(fields, dict):
        raise ConfigError(f"The file {os.fspath(path)} is no configuration: it has no object named 'fields'. Save one with config.save().")
    return fields


def _write_atomically(path: str, text: str) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".tmp", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _open_to_readers(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _open_to_readers(path: str) -> None:
    """Gives the file the rights that `open` would have given it; `mkstemp` lets nobody but the owner read."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)


def _sync_folder(folder: str) -> None:
    """Makes the new name survive a power cut; where folders cannot be opened (Windows), the system does that by itself."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
