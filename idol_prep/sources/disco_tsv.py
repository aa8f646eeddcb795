"""DisCo's TSV sets: ``train_images.tsv`` and ``train_masks.tsv``, row by row the same frames, named by a YAML file.

Frames are found by their keys: ``TiktokDance_00337_0010.png``, ``TiktokDance_201_005_1x1_00063.jpg``, with any text
before, ``S001C001P001R001A001_0001``, ``Custom_NAME_0001.png``. The drawn poses are left aside: joints cannot be had
back from drawings, a pose annotator finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idol_prep._tsv import TsvRow, rows_of
from idol_prep.pictures import picture_size, read_mask, read_rgb
from idol_prep.schema import DataError, Split
from idol_prep.sources import ClipLook, RawFrame
from idol_prep.sources.pictures import fingerprint

FPS = 30.0
_KEY = re.compile(r"(?P<clip>.+)_(?P<number>\d+)(?:\.\w+)?")
_PREFIX = re.compile(r"^.*TiktokDance_|^Custom_")
_SQUARE = "_1x1"


@dataclass(frozen=True, slots=True)
class DiscoFrame:
    """One frame: its number, and the rows of its picture and mask."""

    number: int
    picture: TsvRow
    mask: TsvRow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscoClip:
    """The frames of one key, by number. Frames whose mask is marked as none are left out and counted as gaps."""

    id: str
    split: Split
    origin: str
    frames: tuple[DiscoFrame, ...]
    gaps: int

    @property
    def stamp(self) -> str:
        """Changes with the frames' number and size."""
        return f"{len(self.frames)} frames, {sum(frame.picture.size for frame in self.frames)} bytes"

    def look(self) -> ClipLook:
        """Size by the first frame; notes how many numbers are missing."""
        height, width = picture_size(self.frames[0].picture.picture())
        notes = {"skipped_frames": float(self.gaps)}
        return ClipLook(height=height, width=width, fps=FPS, frames=len(self.frames), notes=notes)

    def read(self, start: int = 0) -> Iterator[RawFrame]:
        """Frames in the order of their numbers, with masks. Raises `DataError` at the first unfit one."""
        for frame in self.frames[start:]:
            shipped = {"mask": read_mask(frame.mask.picture())} if frame.mask else {}
            yield RawFrame(rgb=read_rgb(frame.picture.picture()), shipped=shipped)


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscoTsvSource:
    """The clips of one or several YAML files."""

    files: tuple[Path, ...]
    videos: tuple[DiscoClip, ...]
    name: str = field(default="disco-tsv", init=False)

    @classmethod
    def open(cls, raw: Path) -> DiscoTsvSource:
        """Read one YAML file, or all in a folder; their names say the split.

        Raises `DataError` where there is none, for tables that do not go together, and for a clip in two files.
        """
        files = [raw] if raw.is_file() else sorted(raw.glob("*.yaml"))
        if not files:
            raise DataError(f"{raw}: holds no YAML file; name DisCo's train_....yaml, or the folder with it")
        videos = [clip for file in files for clip in _clips(file)]
        seen: set[str] = set()
        for clip in videos:
            if clip.id in seen:
                raise DataError(f"{clip.origin}: the clip {clip.id} is in another file, too; take one file at a time")
            seen.add(clip.id)
        return cls(files=tuple(files), videos=tuple(videos))

    def clips(self) -> Sequence[DiscoClip]:
        """Every clip, split by split."""
        return self.videos

    def ships(self, track: str) -> bool:
        """Masks come with it where the YAML files name them."""
        return track == "mask" and all(frame.mask for clip in self.videos for frame in clip.frames)

    def describe(self) -> dict:
        """For ``dataset.json``."""
        listing = fingerprint(self.files)
        return {
            "name": self.name,
            "clips": len(self.videos),
            "files": [file.name for file in self.files],
            "hash": listing,
        }


def split_of(name: str) -> Split:
    """By a file's name: ``train...``, ``val...``, and for testing ``new10val...`` or ``test...``."""
    for word, split in (("train", "train"), ("new10val", "test"), ("test", "test"), ("val", "val")):
        if name.startswith(word):
            return split  # type: ignore[return-value]
    raise DataError(f"{name}: says no split; let its name begin with train, val, test or new10val")


def clip_and_number(key: str) -> tuple[str, int]:
    """A frame's clip and number. Raises `DataError` for a key of another form."""
    found = _KEY.fullmatch(key)
    if not found:
        raise DataError(f"the key {key!r} is none of DisCo's; it ends in _NUMBER or _NUMBER.png")
    clip = _PREFIX.sub("", found["clip"]).removesuffix(_SQUARE)
    return re.sub(r"[^A-Za-z0-9_.+=-]+", "-", clip), int(found["number"])


def _clips(file: Path) -> Iterator[DiscoClip]:
    pictures, masks = _tables(file)
    frames: dict[str, dict[int, DiscoFrame | None]] = {}
    for row, mask in zip(pictures, masks, strict=True):
        clip, number = clip_and_number(row.key)
        if mask is not None and mask.key != row.key:
            raise DataError(f"{mask.path}: has {mask.key} where {row.path.name} has {row.key}; they do not go together")
        there = frames.setdefault(clip, {})
        if number in there:
            raise DataError(f"{row.path}: has frame {number} of {clip} twice; take one of them out")
        there[number] = DiscoFrame(number, row, mask) if mask is None or mask.is_valid() else None
    for clip, numbered in sorted(frames.items()):
        good = tuple(frame for _, frame in sorted(numbered.items()) if frame is not None)
        if good:
            gaps = max(numbered) - min(numbered) + 1 - len(good)
            yield DiscoClip(id=clip, split=split_of(file.name), origin=f"{file.name}/{clip}", frames=good, gaps=gaps)


def _tables(file: Path) -> tuple[list[TsvRow], list[TsvRow | None]]:
    """Rows of pictures and of masks, as many; None for masks where there are none."""
    config = _config(file)
    if not config.get("img"):
        raise DataError(f"{file}: names no table of pictures (img: NAME.tsv)")
    pictures = _chosen(file, config, "img")
    if not config.get("masks"):
        return pictures, [None] * len(pictures)
    masks = _chosen(file, config, "masks")
    if len(masks) != len(pictures):
        raise DataError(f"{file}: has {len(pictures)} pictures and {len(masks)} masks; they do not go together")
    return pictures, [*masks]


def _config(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read as YAML ({line})") from error
    if not isinstance(config, dict):
        raise DataError(f"{file}: is no YAML file of a TSV set (img: NAME.tsv, masks: NAME.tsv)")
    return config


def _chosen(file: Path, config: Mapping[str, Any], kind: str) -> list[TsvRow]:
    """A kind's rows in the YAML file's order: all of one table, or what the line list of a composite set takes."""
    names = config[kind] if isinstance(config[kind], list) else [config[kind]]
    tables = [rows_of(_place(file.parent, str(name))) for name in names]
    if not config.get("composite"):
        return [row for table in tables for row in table]
    lines = _place(file.parent, str(config.get("caption_linelist")))
    try:
        pairs = [(int(line.split("\t")[0]), int(line.split("\t")[1])) for line in lines.read_text().splitlines()]
        return [tables[source][row] for source, row in pairs]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{lines}: is no line list of {file.name} ({error}); copy it again") from error


def _place(folder: Path, name: str) -> Path:
    """A table beside the YAML file; DisCo's own converter writes ``_images`` and says ``_img``."""
    for path in (folder / name, folder / name.replace("_img.tsv", "_images.tsv")):
        if path.is_file():
            return path
    return folder / name
