"""Sources of still pictures: groups of candidates, each with what its dataset knows of it.

A source is listed without decoding anything. Its groups become shards, so they are settled when it is opened; a picture
that cannot be read, or that the dataset itself says to be unfit, is rejected when it is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from idol_prep.pictures import Encoded, plain_suffix, read_rgb
from idol_prep.schema import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SHARD_PICTURES = 1000
"""Candidates that become one shard, where the source itself does not come in shards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenPicture:
    """A decoded picture, RGB uint8 [H,W,3], and what came with it."""

    rgb: NDArray[np.uint8]
    file: bytes | None
    """Its file as it is, where that decodes to ``rgb``; then ``suffix`` says of which format."""
    suffix: str = ".png"
    shipped: Mapping[str, NDArray] = field(default_factory=dict)
    """``mask`` uint8 [H,W] where the dataset brings one."""
    people: int | None = None
    """How many people the dataset counts in it."""
    notes: Mapping[str, float] = field(default_factory=dict)
    """Numbers for its scores."""


class RawPicture(Protocol):
    """One candidate."""

    @property
    def key(self) -> str:
        """Its name in the set."""
        ...

    @property
    def origin(self) -> str:
        """Where it comes from, relative to the source's root."""
        ...

    def read(self) -> SeenPicture:
        """Decode it. Raises `DataError` for what cannot be read, `Rejected` for what the dataset says to be unfit."""
        ...


class PictureGroup(Protocol):
    """Candidates that become one shard."""

    @property
    def number(self) -> int: ...

    @property
    def id(self) -> str: ...

    @property
    def count(self) -> int | None:
        """How many there are; None where only reading tells."""
        ...

    def pictures(self) -> Iterator[RawPicture]:
        """The candidates in order. Raises `DataError` where it breaks off, after the good ones."""
        ...


class PictureSource(Protocol):
    """Still pictures as a list of groups."""

    @property
    def name(self) -> str: ...

    @property
    def listing(self) -> str:
        """A fingerprint of what is there: the groups of a set stay as they are only while it does."""
        ...

    def groups(self) -> Sequence[PictureGroup]: ...

    def ships(self, track: str) -> bool:
        """Whether it brings ``mask`` itself."""
        ...

    def describe(self) -> dict:
        """For ``stills.json``."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedGroup:
    """A group whose candidates are known beforehand."""

    number: int
    listed: tuple[RawPicture, ...]

    @property
    def id(self) -> str:
        """The shard's number."""
        return f"{self.number:06d}"

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.listed)

    def pictures(self) -> Iterator[RawPicture]:
        """The candidates in order."""
        return iter(self.listed)


def grouped(pictures: Sequence[RawPicture], size: int) -> tuple[ListedGroup, ...]:
    """Groups of ``size`` candidates in order, the last one shorter. Raises `DataError` for a size below 1."""
    if size < 1:
        raise DataError(f"shards of {size} pictures hold nothing; take at least 1, such as {SHARD_PICTURES}")
    starts = range(0, len(pictures), size)
    return tuple(ListedGroup(number=i, listed=tuple(pictures[at : at + size])) for i, at in enumerate(starts))


def fingerprint(files: Iterable[Path]) -> str:
    """How many files there are, and a hash of their names and sizes."""
    listed = [f"{file.name} {file.stat().st_size}" for file in files]
    return f"{len(listed)} files, {hashlib.sha256(chr(10).join(listed).encode()).hexdigest()[:16]}"


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder by name. Raises `DataError` where there is no such folder, or nothing in it."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the unpacked dataset")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    if not files:
        raise DataError(f"{folder}: holds no picture ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return files


def load(picture: Path | Encoded) -> SeenPicture:
    """A picture, with its file where that may go into a shard as it is."""
    encoded = picture if isinstance(picture, Encoded) else _read(picture)
    suffix = plain_suffix(encoded)
    rgb = read_rgb(encoded)
    return SeenPicture(rgb=rgb, file=encoded.data if suffix else None, suffix=suffix or ".png")


def _read(path: Path) -> Encoded:
    try:
        return Encoded(str(path), path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy it again, or leave it out") from error
