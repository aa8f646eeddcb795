"""SHHQ-1.0 as published: ``no_segment/NAME.png`` (1024 x 512) and the mask of the same name in ``segments/``.

The archive has a password and is for research only: unpack it first. One person a picture, by the dataset's promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from idol_prep.pictures import read_mask
from idol_prep.schema import DataError
from idol_prep.sources.pictures import (
    SHARD_PICTURES,
    SUFFIXES,
    ListedGroup,
    SeenPicture,
    fingerprint,
    grouped,
    load,
    picture_files,
)

PICTURES, MASKS = "no_segment", "segments"
_SURE = 0.8
"""Part of a mask's pixels that are nearly black or white; JPEG and soft edges blur the others."""
_NEARLY = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class SHHQPicture:
    """One picture and its mask's file, None where there is none."""

    path: Path
    mask: Path | None

    @property
    def key(self) -> str:
        """The file's name."""
        return self.path.stem

    @property
    def origin(self) -> str:
        """The file within the dataset."""
        return f"{PICTURES}/{self.path.name}"

    def read(self) -> SeenPicture:
        """The picture with its mask. Raises `DataError` for a mask that is missing, of another size, or a picture."""
        if self.mask is None:
            raise DataError(f"{self.path}: has no mask of its name in {MASKS}/; unpack the archive again")
        seen = load(self.path)
        mask = read_mask(self.mask)
        if mask.shape != seen.rgb.shape[:2]:
            size, wanted = mask.shape, seen.rgb.shape
            raise DataError(f"{self.mask}: is {size[1]}x{size[0]}, its picture is {wanted[1]}x{wanted[0]}")
        if ((mask < _NEARLY) | (mask > 255 - _NEARLY)).mean() < _SURE:
            raise DataError(f"{self.mask}: is no mask, most of it is neither black nor white; choose another --mask")
        return replace(seen, shipped={"mask": mask}, people=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SHHQSource:
    """All pictures of an unpacked SHHQ."""

    shards: tuple[ListedGroup, ...]
    listing: str
    name: str = field(default="shhq", init=False)

    @classmethod
    def open(cls, raw: Path, *, per_shard: int = SHARD_PICTURES) -> SHHQSource:
        """List the pictures in ``raw`` or one folder below. Raises `DataError` where there are none."""
        root = next((one for one in (raw, raw / "SHHQ-1.0") if (one / PICTURES).is_dir()), None)
        if root is None:
            raise DataError(f"{raw}: holds no {PICTURES}/; unpack SHHQ-1.0.zip there (its password comes with access)")
        files = picture_files(root / PICTURES)
        masks = _masks(root / MASKS)
        pictures = [SHHQPicture(path=file, mask=masks.get(file.stem)) for file in files]
        return cls(shards=grouped(pictures, per_shard), listing=fingerprint(files))

    def groups(self) -> Sequence[ListedGroup]:
        """Its pictures in order of their names."""
        return self.shards

    def ships(self, track: str) -> bool:
        """Masks come with it."""
        return track == "mask"

    def describe(self) -> dict:
        """For ``stills.json``."""
        return {"name": self.name, "listing": self.listing}


def _masks(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; SHHQ brings its masks there")
    return {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES}
