"""Sources: raw material as clips of frames, each frame with the tracks that came with it.

A source is listed without decoding anything; a clip's frames are read from its start, as often as needed. What is
wrong with the whole input raises `DataError` when the source is opened, what is wrong with one clip when that is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from idol_prep.schema import SPLITS, DataError, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFrame:
    """One frame: RGB uint8 [H,W,3] and the tracks it came with (``mask`` uint8, ``depth`` float32), [H,W] each."""

    rgb: NDArray[np.uint8]
    shipped: Mapping[str, NDArray] = field(default_factory=dict)
    skipped: int | None = None
    """How many frames its source has no more, or never had, right before it; None where nothing tells."""


class RawClip(Protocol):
    """One video or sequence of the source."""

    @property
    def id(self) -> str: ...

    @property
    def split(self) -> Split: ...

    @property
    def origin(self) -> str:
        """Where it comes from, relative to the source's root."""
        ...

    @property
    def stamp(self) -> str:
        """A cheap fingerprint of the raw files; a finished clip is made again when it changes."""
        ...

    def look(self) -> ClipLook:
        """Size, rate and length without reading every frame. Raises `DataError` where it cannot be read at all."""
        ...

    def read(self, start: int = 0) -> Iterator[RawFrame]:
        """The frames from number ``start`` on. Raises `DataError` where it breaks off, after the good frames."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipLook:
    """What is known of a clip before it is read; ``frames`` is None where only reading tells."""

    height: int
    width: int
    fps: float
    frames: int | None
    notes: Mapping[str, float] = field(default_factory=dict)
    """Numbers for the clip's scores, for example how many frames the numbering skips."""


class Source(Protocol):
    """Raw material as a list of clips."""

    @property
    def name(self) -> str: ...

    def clips(self) -> Sequence[RawClip]: ...

    def ships(self, track: str) -> bool:
        """Whether it brings ``mask`` or ``depth`` itself."""
        ...

    def describe(self) -> dict:
        """For ``dataset.json``: what it is, where its splits come from."""
        ...


def read_split_file(path: Path) -> dict[str, Split]:
    """Clip id to split, from JSON (``{"train": [ids], "val": [...], "test": [...]}``) or lines ``id split``.

    Raises `DataError` for an unknown split, an id in two of them, or a file that is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the split file cannot be read ({error})") from error
    pairs = _json_pairs(path, text) if text.lstrip().startswith("{") else _line_pairs(path, text)
    splits: dict[str, Split] = {}
    for clip, split in pairs:
        if split not in SPLITS:
            raise DataError(f"{path}: unknown split {split!r}; use {', '.join(SPLITS)}")
        if splits.get(clip, split) != split:
            raise DataError(f"{path}: {clip} is in {splits[clip]} and in {split}; list it once")
        splits[clip] = split
    return splits


def _json_pairs(path: Path, text: str) -> list[tuple[str, str]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: is no valid JSON ({error})") from error
    if not all(isinstance(ids, list) for ids in content.values()):
        raise DataError(f'{path}: a split file is {{"train": [ids], "val": [ids], "test": [ids]}}')
    return [(str(clip), split) for split, ids in content.items() for clip in ids]


def _line_pairs(path: Path, text: str) -> list[tuple[str, str]]:
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for words in lines:
        if len(words) != 2:
            raise DataError(f"{path}: the line {' '.join(words)!r} is not `id split`")
    return [(clip, split) for clip, split in lines]
