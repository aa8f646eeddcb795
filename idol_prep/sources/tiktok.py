"""The TikTok dataset as published (Jafarian and Park, HDNet): ``00001/{images,masks,densepose}/0001.png``.

Frames count from 1, with gaps now and then; the download nests its folder once or twice. Masks come with it, DensePose
too (read where a depth network asks for it); depth lies beside them where a depth network was run:
``00001/depth/0001.{png,npy,txt}``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idol_prep.pictures import picture_size, read_depth, read_mask, read_rgb
from idol_prep.schema import DataError, Split
from idol_prep.sources import ClipLook, RawFrame, read_split_file

FPS = 30.0
PRESETS = {
    "disco-public": "1-334 train, 335-340 test: the public part of DisCo's split",
    "paper-like": (
        "1-330 train, 331-340 test: ten as in the paper, whose own are unpublished. The data name no dancers, but cut "
        "neighbouring numbers from one compilation: a run at the end parts train and test at a single place"
    ),
}
"""Rules of the split, by name, in words."""

_FIRST_TEST = {"disco-public": 335, "paper-like": 331}
_NESTING = 3
_PICTURES = (".png", ".jpg", ".jpeg")
_SUFFIXES = {"images": _PICTURES, "masks": _PICTURES, "depth": (".png", ".npy", ".txt"), "densepose": (".png",)}
"""What is read of each folder of a sequence."""


@dataclass(frozen=True, kw_only=True)
class TikTokSequence:
    """One numbered folder of frames."""

    folder: Path
    split: Split
    densepose: bool = False
    """Whether each frame shall bring its DensePose picture."""
    rule: str = ""
    """The named split that puts this sequence elsewhere than the default one does."""

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def origin(self) -> str:
        """The folder's name within the dataset."""
        return self.folder.name

    @property
    def stamp(self) -> str:
        """Changes when frames are added, removed or replaced by others of another size, or with a named split's part.

        So a dataset that was prepared by another named split rejects the sequences whose part changes, with the fix
        (another folder), and does not keep their old part in silence.
        """
        return self._stamp

    @cached_property
    def _stamp(self) -> str:
        entries = [one for kind in self._kinds for one in _entries(*self._place(kind)).values()]
        words = f", {self.split} by {self.rule}" if self.rule else ""
        return f"{len(entries)} files, {sum(one.stat().st_size for one in entries)} bytes{words}"

    def look(self) -> ClipLook:
        """Size by the first frame's header; notes how many numbers are missing. Raises `DataError` if empty."""
        numbers = self._numbers
        if not self._frames:
            raise DataError(f"{self.folder / 'images'}: holds no frame (0001.png, ...)")
        if self.densepose and not self._tracks["densepose"]:
            raise DataError(f"{self.folder / 'densepose'}: holds no DensePose; choose another --depth than hdnet")
        if not numbers:
            raise DataError(f"{self.folder}: no frame has a mask (and depth, where shipped) of its own number")
        height, width = picture_size(self._frames[numbers[0]])
        gaps = max(self._frames) - min(self._frames) + 1 - len(numbers)
        return ClipLook(height=height, width=width, fps=FPS, frames=len(numbers), notes={"skipped_frames": gaps})

    def read(self, start: int = 0) -> Iterator[RawFrame]:
        """Frames in the order of their numbers with mask and depth. Raises `DataError` at the first unfit one."""
        size = (0, 0)
        for number in self._numbers[start:]:
            rgb = read_rgb(self._frames[number])
            size = size if any(size) else (rgb.shape[0], rgb.shape[1])
            if rgb.shape[:2] != size:
                raise DataError(f"{self._frames[number]}: is {_by(rgb.shape)}, the frames before are {_by(size)}")
            yield RawFrame(rgb=rgb, shipped=self._shipped(number, size))

    def ships(self, track: str) -> bool:
        """Whether the folder of this track (``mask``, ``depth``) holds anything."""
        return bool(self._tracks[track])

    @cached_property
    def _frames(self) -> dict[int, Path]:
        return _numbered(*self._place("images"))

    @cached_property
    def _numbers(self) -> list[int]:
        """Frames that have everything the sequence ships; the others count as gaps in the numbering."""
        return sorted(set(self._frames).intersection(*(track for track in self._tracks.values() if track)))

    @cached_property
    def _tracks(self) -> dict[str, dict[int, Path]]:
        found = {"mask": "masks", "depth": "depth", "densepose": "densepose"}
        return {track: _numbered(*self._place(kind)) if kind in self._kinds else {} for track, kind in found.items()}

    @property
    def _kinds(self) -> tuple[str, ...]:
        """The folders that are read."""
        return tuple(kind for kind in _SUFFIXES if self.densepose or kind != "densepose")

    def _place(self, kind: str) -> tuple[Path, tuple[str, ...]]:
        return self.folder / kind, _SUFFIXES[kind]

    def _shipped(self, number: int, size: tuple[int, int]) -> dict[str, NDArray]:
        """The tracks that this sequence brings, of one frame."""
        readers = {"mask": read_mask, "depth": read_depth, "densepose": read_rgb}
        return {
            track: _fitting(readers[track](paths[number]), size, paths[number])
            for track, paths in self._tracks.items()
            if paths
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class TikTokSource:
    """The sequences of a TikTok download."""

    root: Path
    sequences: tuple[TikTokSequence, ...]
    splits: str
    name: str = field(default="tiktok", init=False)

    @classmethod
    def open(cls, raw: Path, *, split: str = "disco-public", densepose: bool = False) -> TikTokSource:
        """Find the sequences at or up to three folders below ``raw``; ``split`` is a preset's name or a split file.

        With ``densepose`` a frame without its DensePose counts as missing, as one without its mask does; a download
        without any ships none, like its other tracks. Raises `DataError` where there are no sequences, or for an
        unknown split.
        """
        root, folders = _find_sequences(raw)
        densepose = densepose and any((folder / "densepose").is_dir() for folder in folders)
        names = [folder.name for folder in folders]
        assigned, usual = _assign(names, split), _assign(names, "disco-public")
        other = {name: split if split in PRESETS and assigned[name] != usual[name] else "" for name in names}
        sequences = tuple(
            TikTokSequence(folder=folder, split=assigned[folder.name], densepose=densepose, rule=other[folder.name])
            for folder in folders
        )
        return cls(root=root, sequences=sequences, splits=split)

    def clips(self) -> Sequence[TikTokSequence]:
        """Every sequence as one clip, by number."""
        return self.sequences

    def ships(self, track: str) -> bool:
        """Whether the first sequence brings this track; of DensePose, whether any does and it was asked for."""
        return self.sequences[0].densepose if track == "densepose" else self.sequences[0].ships(track)

    def describe(self) -> dict:
        """For ``dataset.json``."""
        parts = [sequence.split for sequence in self.sequences]
        return {
            "name": self.name,
            "sequences": len(self.sequences),
            "splits": self.splits,
            "split_rule": PRESETS.get(self.splits, "a split file"),
            "split_sizes": {part: parts.count(part) for part in ("train", "val", "test")},
        }


def _find_sequences(raw: Path) -> tuple[Path, list[Path]]:
    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder; name the unpacked TikTok dataset")
    level = [raw]
    for _ in range(_NESTING + 1):
        for root in level:
            folders = [child for child in _folders(root) if _is_sequence(child)]
            if folders:
                return root, sorted(folders, key=lambda folder: _number(folder.name) or 0)
        level = [child for root in level for child in _folders(root)]
    raise DataError(f"{raw}: holds no sequence; expected 00001/images/0001.png there or in TikTok_dataset below it")


def _folders(root: Path) -> list[Path]:
    return sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))


def _is_sequence(folder: Path) -> bool:
    return _number(folder.name) is not None and (folder / "images").is_dir()


def _assign(names: Sequence[str], split: str) -> dict[str, Split]:
    if split in PRESETS:
        return {name: "test" if (_number(name) or 0) >= _FIRST_TEST[split] else "train" for name in names}
    if not Path(split).is_file():
        raise DataError(f"unknown split {split!r}: name a preset ({', '.join(PRESETS)}) or a split file")
    listed = read_split_file(Path(split))
    by_number: dict[int | None, Split] = {_number(clip): part for clip, part in listed.items()}
    assigned: dict[str, Split] = {name: by_number[_number(name)] for name in names if _number(name) in by_number}
    absent = [name for name in names if name not in assigned]
    if absent:
        raise DataError(f"{split}: says nothing of {absent[0]} and {len(absent) - 1} more; list every sequence")
    return assigned


def _numbered(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    """Files whose name ends in a number, by that number; empty where there is no such folder."""
    return {number: folder / entry.name for number, entry in _entries(folder, suffixes).items()}


def _entries(folder: Path, suffixes: tuple[str, ...]) -> dict[int, os.DirEntry[str]]:
    """The same as the system lists them: for a hundred thousand files a path each is half the work."""
    if not os.path.isdir(folder):
        return {}
    with os.scandir(folder) as listed:
        stems = [(entry, *os.path.splitext(entry.name)) for entry in listed]
    numbered = ((entry, _number(stem)) for entry, stem, suffix in stems if suffix.lower() in suffixes)
    return {number: entry for entry, number in numbered if number is not None}


def _number(name: str) -> int | None:
    digits = re.search(r"(\d+)$", name)
    return int(digits[1]) if digits and not name.startswith(".") else None


def _fitting(track: NDArray, size: tuple[int, int], path: Path) -> NDArray:
    """The track as it is: it may be coarser or finer than its frame, but has to have its proportions."""
    height, width = track.shape[:2]
    if abs(height / width - size[0] / size[1]) > 0.02 * size[0] / size[1]:
        raise DataError(f"{path}: is {_by((height, width))}, which does not fit its frame of {_by(size)}")
    return np.ascontiguousarray(track)


def _by(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]}"
