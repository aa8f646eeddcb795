"""OpenPose JSON files, one a frame: OpenPose's own, ControlNet tools', and DisCo's lists of COCO joints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose.formats import (
    Keypoints,
    PoseError,
    mark_missing,
    openpose18_from_body25,
    openpose18_from_coco17,
)

Person = tuple[NDArray[np.float32], NDArray[np.float32]]
"""One person's OpenPose-18 joints: xy [18,2], score [18]."""


def from_openpose_json(folder: Path) -> Keypoints:
    """The folder's ``*.json`` files in natural order (2 before 10), one frame each, as OpenPose-18 keypoints.

    Each file holds either ``{"people": [{"pose_keypoints_2d": [x, y, score, ...]}]}`` with 18 or 25 joints (in a
    list of one such object, too, as ControlNet tools write it; joints in parts of ``canvas_width`` and
    ``canvas_height`` become pixels), or DisCo's list of people with 17 COCO joints ``[x, y, score]``, -1 where
    missing. A frame without people stays empty. Raises `PoseError` for a folder without such files and for a file
    that is none of these.
    """
    files = sorted(Path(folder).glob("*.json"), key=_natural)
    if not files:
        raise PoseError(f"{folder}: no .json files; give the folder that OpenPose's --write_json filled")
    frames = [people_of(_load(file), name=str(file)) for file in files]
    slots = max(1, *(len(people) for people in frames))
    xy = np.full((len(frames), slots, 18, 2), -1, np.float32)
    score = np.zeros((len(frames), slots, 18), np.float32)
    for number, people in enumerate(frames):
        for slot, (joints, confidence) in enumerate(people):
            xy[number, slot], score[number, slot] = joints, confidence
    return Keypoints(xy=xy, score=score)


def people_of(document: Any, name: str = "pose") -> list[Person]:
    """The people of one parsed JSON document; ``name`` is for errors."""
    if isinstance(document, list) and len(document) == 1 and isinstance(document[0], dict):
        document = document[0]
    if isinstance(document, dict) and isinstance(document.get("people"), list):
        return [_openpose_person(person, document, name) for person in document["people"] if _has_body(person)]
    if isinstance(document, list):
        return [_coco_person(person, name) for person in document]
    raise PoseError(f"{name}: is no OpenPose JSON (no 'people' in it, and not a list of people)")


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PoseError(f"{file}: is not JSON ({error})") from error


def _natural(file: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", file.name)]


def _has_body(person: Any) -> bool:
    return isinstance(person, dict) and bool(person.get("pose_keypoints_2d"))


def _openpose_person(person: dict, document: dict, name: str) -> Person:
    table = _table(person["pose_keypoints_2d"], (18, 25), name)
    xy, score = table[:, :2], table[:, 2]
    if "canvas_width" in document and "canvas_height" in document and np.max(xy, initial=0) <= 1:
        xy = xy * np.array([document["canvas_width"], document["canvas_height"]], np.float32)
    return openpose18_from_body25(xy, score) if len(table) == 25 else mark_missing(xy, score)


def _coco_person(person: Any, name: str) -> Person:
    table = _table(person, (17,), name)
    missing = (table[:, :2] < 0).any(axis=-1)
    return openpose18_from_coco17(table[:, :2], np.where(missing, 0, table[:, 2]))


def _table(values: Any, counts: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """Flat or nested numbers as [joints, 3]."""
    wanted = " or ".join(map(str, counts))
    try:
        flat = np.asarray(values, np.float32).reshape(-1)
    except (TypeError, ValueError) as error:
        raise PoseError(f"{name}: a person is not {wanted} joints of x, y, score") from error
    if flat.size not in {3 * count for count in counts}:
        raise PoseError(f"{name}: a person has {flat.size} numbers, expected {wanted} joints of x, y, score")
    return flat.reshape(-1, 3)
