"""The files of a prepared dataset: their names, and reading and writing them whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from idol_prep._errors import DataError
from idol_prep._leftovers import replaced
from idol_prep._records import FORMAT_VERSION

DATASET_FILE, MANIFEST_FILE, REJECTS_FILE, CLIPS_FOLDER = "dataset.json", "manifest.parquet", "rejects.jsonl", "clips"
CLIP_FILE = "clip.json"
FRAMES_FILE, MASK_FILE, DEPTH_FILE = "frames.mkv", "mask.mkv", "depth.mkv"
KEYPOINTS_FILE, BACKGROUND_FILE = "keypoints.npz", "background.png"

_LOCK_FILE = ".lock"
_LOCK_SECONDS = 600.0

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def read_json(file: Path, wanted: str) -> dict[str, Any]:
    """A JSON object; `DataError` names what the folder should have been."""
    if not file.is_file():
        raise DataError(f"{file.parent}: is not {wanted} (no {file.name})")
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError(f"{file}: is damaged ({error}); prepare it again") from error


def check_version(file: Path, document: dict[str, Any], known: int = FORMAT_VERSION) -> None:
    """Raise `DataError` unless the document is of the known format version."""
    if document.get("version") != known:
        raise DataError(
            f"{file}: has format version {document.get('version')!r}, this program reads {known}; "
            "prepare the data again or use the program that wrote it"
        )


def begin(file: Path, info: Mapping[str, Any]) -> None:
    """Write the document of what is begun in ``file``'s folder, or check that what lies there has the same recipe.

    Raises `DataError` for another recipe, and for a folder that holds something else.
    """
    if file.is_file():
        there = read_json(file, "a prepared dataset")
        check_version(file, there, info["version"])
        _check_recipe(file.parent, there.get("recipe", {}), info["recipe"])
    elif any(not entry.name.startswith(".") for entry in file.parent.iterdir()):
        raise DataError(f"{file.parent}: is not empty and no prepared dataset; choose another folder")
    else:
        write_json(file, info)


def _check_recipe(root: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise DataError(
                f"{root}: holds clips made with {key}={old.get(key)!r}, not {new.get(key)!r}; "
                "choose another folder or the same settings"
            )


def file_hash(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def dict_hash(values: dict[str, str]) -> str:
    """SHA-256 over sorted names and values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    with replaced(file) as stream:
        stream.write((json.dumps(document, indent=2) + "\n").encode())


@contextmanager
def explained(root: Path, doing: str = "writing") -> Iterator[None]:
    """Turn a full disk and missing rights into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DataError(
                f"{root}: no space left while {doing}; free some and run the command again, finished clips stay"
            ) from error
        if isinstance(error, PermissionError):
            raise DataError(f"{root}: may not be written to ({error.strerror}); choose another folder") from error
        if error.errno == errno.EROFS:
            raise DataError(f"{root}: lies on a read-only disk; choose another folder") from error
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise DataError(f"{root}: is a file, or lies below one; choose another folder") from error
        raise


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One process at a time begins or finishes a dataset."""
    try:
        with FileLock(root / _LOCK_FILE, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise DataError(f"{root}: another process has held {_LOCK_FILE} for ten minutes; is it stuck?") from error
