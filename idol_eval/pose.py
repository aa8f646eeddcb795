"""Pose adherence: joints found again in the generated video against those that drove it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose import Keypoints, to_openpose18

SHARES = (0.05, 0.1)
"""A joint is right within this share of the larger side of the driving person's box (PCK, Yang & Ramanan 2013)."""
_SURE = 0.3
"""Score from which a joint counts as seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adherence:
    """Shares of the driving joints; ``error`` is the mean distance of those found, in shares of the box."""

    pck_05: float
    pck_10: float
    found: float
    error: float | None


def adherence(found: Keypoints, driving: Keypoints) -> Adherence | None:
    """Compare the first person of each frame. None where no frame has a driving joint.

    A driving joint that is not found again counts as wrong. Joints that drove nothing do not count.

    Raises:
        ValueError: another number of frames.
    """
    if len(found) != len(driving):
        raise ValueError(f"pose: {len(found)} frames against {len(driving)}; give equal counts")
    mine, true = to_openpose18(found), to_openpose18(driving)
    wanted, seen = true.score[:, 0] >= _SURE, mine.score[:, 0] >= _SURE
    if not wanted.any():
        return None
    distance = np.linalg.norm(mine.xy[:, 0] - true.xy[:, 0], axis=-1) / _box_sides(true.xy[:, 0], wanted)[:, None]
    both = wanted & seen
    near = [float((both & (distance <= share)).sum() / wanted.sum()) for share in SHARES]
    error = float(distance[both].mean()) if both.any() else None
    return Adherence(pck_05=near[0], pck_10=near[1], found=float(both.sum() / wanted.sum()), error=error)


def _box_sides(xy_LK2: NDArray[np.float32], wanted_LK: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Larger side of each frame's box of joints, one pixel at least; 1 where a frame has none."""
    low = np.where(wanted_LK[..., None], xy_LK2, np.inf).min(axis=1)
    high = np.where(wanted_LK[..., None], xy_LK2, -np.inf).max(axis=1)
    sides = np.maximum(high - low, 1).max(axis=-1)
    return np.where(np.isfinite(sides), sides, 1.0)
