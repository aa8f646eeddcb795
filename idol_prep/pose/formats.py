"""Keypoints of people in frames, the formats they come in, and the way from each to OpenPose-18.

A missing joint has score 0 and position (-1, -1). "Right" is the person's own right, which is left in the picture
when the person faces the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError

KeypointFormat = Literal["openpose18", "coco17", "body25", "wholebody133", "wholebody134"]
"""``wholebody133`` begins with COCO-17, ``wholebody134`` (as DWPose hands it out) with OpenPose-18."""

JOINT_COUNTS: dict[str, int] = {
    "openpose18": 18,
    "coco17": 17,
    "body25": 25,
    "wholebody133": 133,
    "wholebody134": 134,
}
WHOLE_BODY_FORMATS = ("wholebody133", "wholebody134")
"""Formats with hands and face."""
OPENPOSE18_JOINTS = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
COCO17_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
OPENPOSE18_LIMBS: tuple[tuple[int, int], ...] = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Joint pairs in drawing order; limb i has colour i of the rainbow."""

_NECK = 1
_COCO_OF_OPENPOSE = [0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
_BODY25_OF_OPENPOSE = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


class PoseError(DataError):
    """Keypoints or pose files that cannot be used as asked."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Keypoints:
    """Joints of P people in L frames: ``xy`` float32 [L,P,K,2] in pixels, ``score`` float32 [L,P,K], 0 where missing.

    The top left corner of the top left pixel is (0, 0), so a pixel's centre is at its index + 0.5. Raises `PoseError`
    for shapes that do not fit together or the format.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    format: KeypointFormat = "openpose18"

    def __post_init__(self) -> None:
        if self.format not in get_args(KeypointFormat):
            raise PoseError(f"unknown keypoint format {self.format!r}; one of {', '.join(JOINT_COUNTS)}")
        if self.xy.ndim != 4 or self.xy.shape != (*self.score.shape, 2):
            raise PoseError(
                f"keypoints must be xy [L,P,K,2] and score [L,P,K], got {self.xy.shape}, {self.score.shape}"
            )
        if self.xy.shape[2] != JOINT_COUNTS[self.format]:
            raise PoseError(f"{self.format} has {JOINT_COUNTS[self.format]} joints a person, got {self.xy.shape[2]}")

    def __len__(self) -> int:
        return self.xy.shape[0]

    @property
    def people(self) -> int:
        """P, the number of people slots a frame."""
        return self.xy.shape[1]

    def window(self, start: int = 0, stop: int | None = None) -> Keypoints:
        """Frames ``start`` to ``stop``."""
        return Keypoints(xy=self.xy[start:stop], score=self.score[start:stop], format=self.format)

    def at(self, numbers: Sequence[int]) -> Keypoints:
        """Single frames by their numbers."""
        some = list(numbers)
        return Keypoints(xy=self.xy[some], score=self.score[some], format=self.format)

    def save(self, path: Path) -> None:
        """Write ``keypoints.npz``: float32 ``xy`` and ``score``, and the ``format``'s name."""
        xy, score = self.xy.astype(np.float32), self.score.astype(np.float32)
        with open(path, "wb") as file:
            np.savez(file, xy=xy, score=score, format=np.array(self.format))

    @staticmethod
    def load(path: Path) -> Keypoints:
        """Read what `save` wrote."""
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            return Keypoints(xy=stored["xy"], score=stored["score"], format=str(stored["format"]))  # type: ignore[arg-type]


def to_openpose18(keypoints: Keypoints) -> Keypoints:
    """The same people as OpenPose-18. Hands, feet and face outlines of richer formats are left out."""
    if keypoints.format == "openpose18":
        return keypoints
    if keypoints.format in ("coco17", "wholebody133"):
        xy, score = openpose18_from_coco17(keypoints.xy[:, :, :17], keypoints.score[:, :, :17])
    elif keypoints.format == "body25":
        xy, score = openpose18_from_body25(keypoints.xy, keypoints.score)
    else:
        xy, score = keypoints.xy[:, :, :18], keypoints.score[:, :, :18]
    return Keypoints(xy=xy, score=score)


def openpose18_from_coco17(xy: NDArray, score: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """COCO-17 [...,17,2] and [...,17] re-ordered, with a neck.

    The neck is the middle of the shoulders and takes the lower of their scores: it is missing where either shoulder is.
    """
    new_xy = np.asarray(xy, np.float32)[..., _COCO_OF_OPENPOSE, :]
    new_score = np.asarray(score, np.float32)[..., _COCO_OF_OPENPOSE]
    shoulders_score = np.asarray(score, np.float32)[..., 5:7]
    new_xy[..., _NECK, :] = np.asarray(xy, np.float32)[..., 5:7, :].mean(axis=-2)
    new_score[..., _NECK] = shoulders_score.min(axis=-1)
    return mark_missing(new_xy, new_score)


def openpose18_from_body25(xy: NDArray, score: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """BODY_25 [...,25,2] and [...,25] without middle hip and feet."""
    chosen_xy = np.asarray(xy, np.float32)[..., _BODY25_OF_OPENPOSE, :]
    return mark_missing(chosen_xy, np.asarray(score, np.float32)[..., _BODY25_OF_OPENPOSE])


def mark_missing(xy: NDArray, score: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Joints of score <= 0 or no finite place get score 0 and place (-1, -1)."""
    found = (score > 0) & np.isfinite(score) & np.isfinite(xy).all(axis=-1)
    return (
        np.where(found[..., None], xy, -1).astype(np.float32),
        np.where(found, score, 0).astype(np.float32),
    )
