"""COCO as published: ``train2017/000000000009.jpg`` and ``annotations/{person_keypoints,instances}_train2017.json``.

DisCo's pre-training takes its pictures of a single person. Masks are the dataset's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from idol_prep._rejecting import Rejected
from idol_prep.schema import DataError
from idol_prep.sources._coco_masks import Segmentation, draw
from idol_prep.sources.pictures import SHARD_PICTURES, ListedGroup, SeenPicture, fingerprint, grouped, load

_KINDS = ("person_keypoints", "instances")
_PERSON = "person"


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoPicture:
    """One picture and the people that are annotated in it."""

    path: Path
    part: str
    height: int
    width: int
    people: tuple[Segmentation, ...]
    crowds: int
    """Annotations that stand for several people at once."""

    @property
    def key(self) -> str:
        """Part and number."""
        return f"{self.part}-{self.path.stem}"

    @property
    def origin(self) -> str:
        """The file within the dataset."""
        return f"{self.part}/{self.path.name}"

    def read(self) -> SeenPicture:
        """The picture with the mask of everybody in it."""
        if not self.people or self.crowds:
            reason = "people: a crowd is in it" if self.crowds else "no person: nobody is annotated in it"
            raise Rejected("quality", reason)
        seen = load(self.path)
        if seen.rgb.shape[:2] != (self.height, self.width):
            height, width = seen.rgb.shape[:2]
            raise DataError(f"{self.path}: is {width}x{height}, its annotation says {self.width}x{self.height}")
        mask = np.maximum.reduce([draw(one, self.height, self.width) for one in self.people])
        return replace(seen, shipped={"mask": mask}, people=len(self.people))


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoSource:
    """The pictures of one part of COCO."""

    part: str
    annotations: str
    shards: tuple[ListedGroup, ...]
    listing: str
    name: str = field(default="coco", init=False)

    @classmethod
    def open(cls, raw: Path, *, part: str = "train2017", per_shard: int = SHARD_PICTURES) -> CocoSource:
        """List the pictures of a part by its annotations. Raises `DataError` where either is missing."""
        folder = next((one for one in (raw / part, raw / "images" / part) if one.is_dir()), None)
        if folder is None:
            raise DataError(f"{raw}: holds no {part}/ with pictures; name the folder of COCO, and --part if another")
        names = [f"{kind}_{part}.json" for kind in _KINDS]
        file = next((path for name in names if (path := raw / "annotations" / name).is_file()), None)
        if file is None:
            raise DataError(f"{raw / 'annotations'}: holds neither {' nor '.join(names)}; download the annotations")
        pictures = _pictures(file, folder, part)
        listing = f"{len(pictures)} pictures, {fingerprint([file])}"
        return cls(part=part, annotations=file.name, shards=grouped(pictures, per_shard), listing=listing)

    def groups(self) -> Sequence[ListedGroup]:
        """Its pictures in order of their file names."""
        return self.shards

    def ships(self, track: str) -> bool:
        """Masks are annotated."""
        return track == "mask"

    def describe(self) -> dict:
        """For ``stills.json``."""
        return {"name": self.name, "part": self.part, "annotations": self.annotations, "listing": self.listing}


def _pictures(file: Path, folder: Path, part: str) -> list[CocoPicture]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        person = {one["id"] for one in document["categories"] if one["name"] == _PERSON}
        people: dict[int, list[dict[str, Any]]] = {}
        for one in document["annotations"]:
            if one["category_id"] in person:
                people.setdefault(one["image_id"], []).append(one)
        images = sorted(document["images"], key=lambda image: image["file_name"])
        return [_picture(image, people.get(image["id"], []), folder, part) for image in images]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: is no file of COCO annotations ({error!r}); download it again") from error


def _picture(image: dict[str, Any], people: list[dict[str, Any]], folder: Path, part: str) -> CocoPicture:
    single = [one["segmentation"] for one in people if not one.get("iscrowd")]
    return CocoPicture(
        path=folder / Path(image["file_name"]).name,
        part=part,
        height=image["height"],
        width=image["width"],
        people=tuple(single),
        crowds=len(people) - len(single),
    )
