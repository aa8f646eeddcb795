"""A prepared dataset as the TSV set that DisCo's training and its followers' read (`sources.disco_tsv` reads it back).

Pictures and masks go in as PNG, so that nothing is lost; poses are drawn in our style. The table of captions, which
DisCo's loader takes its keys from though no model uses them, holds empty ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from idol_prep._files import explained
from idol_prep._leftovers import replaced
from idol_prep._tsv import picture_column, write_table
from idol_prep.pose import render
from idol_prep.schema import Clip, ClipRecord, DataError, Dataset, Split
from idol_prep.stills import encode_picture

_WINDOW = 32
Listener = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Frame:
    """One row of every table."""

    key: str
    offsets: tuple[int, int]
    """Rows from here to the clip's first and last."""
    picture: np.ndarray
    mask: np.ndarray
    pose: np.ndarray


def export_tsv(root: Path, out: Path, progress: Listener | None = None) -> dict[str, int]:
    """Write ``SPLIT.yaml`` and its tables for each split of the dataset in ``root``; returns rows by split.

    Raises `DataError` for an unfinished dataset, an output that is not empty, and clips whose keys would be one.
    """
    dataset = Dataset.open(root)
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; name another folder for the tables")
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        splits: list[Split] = [split for split in ("train", "val", "test") if len(dataset.records(split))]
        return {split: _export_split(dataset, split, out, progress) for split in splits}


def frame_key(clip_id: str, number: int) -> str:
    """A key that DisCo's loader takes apart: ``TiktokDance_00001_0001.png``, or ``NAME_0001`` as for NTU."""
    if clip_id.isdigit():
        return f"TiktokDance_{clip_id}_{number:04d}.png"
    return f"{clip_id.replace('_', '-')}_{number:04d}"


def _export_split(dataset: Dataset, split: Split, out: Path, progress: Listener | None) -> int:
    records = list(dataset.records(split))
    _check_keys(records)
    tables = {
        "images": lambda frame: (picture_column(encode_picture(frame.picture)),),
        "masks": lambda frame: (picture_column(encode_picture(frame.mask)), "True"),
        "poses": lambda frame: (picture_column(encode_picture(frame.pose)),),
        "vid2line": lambda frame: (json.dumps(frame.offsets),),
        "captions": lambda frame: ('[{"caption": ""}]',),
    }
    rows = 0
    for done, (table, columns) in enumerate(tables.items(), start=1):
        frames = (frame for record in records for frame in _frames(dataset.clip(record.id)))
        rows = write_table(out / f"{split}_{table}.tsv", ((frame.key, *columns(frame)) for frame in frames))
        if progress:
            progress(done, len(tables))
    named = {"img": "images", "caption": "captions"} | {name: name for name in ("masks", "poses", "vid2line")}
    lines = ["composite: false", *(f"{name}: {split}_{table}.tsv" for name, table in named.items())]
    with replaced(out / f"{split}.yaml") as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())
    return rows


def _frames(clip: Clip) -> Iterator[_Frame]:
    """A clip's frames, a window in memory at a time."""
    record = clip.record
    size = (record.height, record.width)
    for start in range(0, record.frames, _WINDOW):
        stop = min(start + _WINDOW, record.frames)
        poses = render(clip.keypoints(start, stop), size, size)
        for at, picture, mask, pose in zip(
            range(start, stop), clip.frames(start, stop), clip.mask(start, stop), poses, strict=True
        ):
            offsets = (-at, record.frames - 1 - at)
            yield _Frame(frame_key(record.id, at + 1), offsets, picture, (mask > 0).astype(np.uint8) * 255, pose)


def _check_keys(records: list[ClipRecord]) -> None:
    keys: dict[str, str] = {}
    for record in records:
        other = keys.setdefault(frame_key(record.id, 1), record.id)
        if other != record.id:
            raise DataError(f"clips {other} and {record.id} would have the same keys; rename one of them")
