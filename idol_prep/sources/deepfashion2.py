"""DeepFashion2 as published: ``train/image/000001.jpg`` and ``train/annos/000001.json``, also ``validation``.

It annotates garments, not people: pictures in which no garment is worn (viewpoint 1 of every item) are left out, and
the person's mask is a model's. Its archives have a password: unpack them first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from idol_prep._rejecting import Rejected
from idol_prep.schema import DataError
from idol_prep.sources.pictures import (
    SHARD_PICTURES,
    ListedGroup,
    SeenPicture,
    fingerprint,
    grouped,
    load,
    picture_files,
)

PARTS = ("train", "validation")
_NOT_WORN = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class DeepFashionPicture:
    """One picture and the file that describes its garments."""

    path: Path
    annotation: Path
    part: str

    @property
    def key(self) -> str:
        """Part and number."""
        return f"{self.part}-{self.path.stem}"

    @property
    def origin(self) -> str:
        """The file within the dataset."""
        return f"{self.part}/image/{self.path.name}"

    def read(self) -> SeenPicture:
        """The picture, unless nobody wears what it shows."""
        viewpoints = self._viewpoints()
        if all(viewpoint == _NOT_WORN for viewpoint in viewpoints):
            raise Rejected("quality", f"not worn: its {len(viewpoints)} garments lie or hang")
        return replace(load(self.path), notes={"garments": float(len(viewpoints))})

    def _viewpoints(self) -> list[int]:
        try:
            document = json.loads(self.annotation.read_text(encoding="utf-8"))
            found = [one["viewpoint"] for name, one in document.items() if name.startswith("item")]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{self.annotation}: is no annotation of DeepFashion2 ({error!r})") from error
        if not found:
            raise DataError(f"{self.annotation}: describes no garment; unpack the archive again")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class DeepFashion2Source:
    """The pictures of one part."""

    part: str
    shards: tuple[ListedGroup, ...]
    listing: str
    name: str = field(default="deepfashion2", init=False)

    @classmethod
    def open(cls, raw: Path, *, part: str = "train", per_shard: int = SHARD_PICTURES) -> DeepFashion2Source:
        """List the pictures of a part. Raises `DataError` where there are none, or no annotations."""
        if part not in PARTS:
            raise DataError(f"unknown part {part!r}; choose {' or '.join(PARTS)} (test has no annotations)")
        annotations = raw / part / "annos"
        if not annotations.is_dir():
            raise DataError(f"{annotations}: no such folder; unpack {part}.zip there (its password comes with access)")
        files = picture_files(raw / part / "image")
        pictures = [
            DeepFashionPicture(path=file, annotation=annotations / f"{file.stem}.json", part=part) for file in files
        ]
        return cls(part=part, shards=grouped(pictures, per_shard), listing=fingerprint(files))

    def groups(self) -> Sequence[ListedGroup]:
        """Its pictures in order of their numbers."""
        return self.shards

    def ships(self, track: str) -> bool:
        """It knows garments only."""
        return False

    def describe(self) -> dict:
        """For ``stills.json``."""
        return {"name": self.name, "part": self.part, "listing": self.listing}
