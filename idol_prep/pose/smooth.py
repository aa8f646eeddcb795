"""Smoothing of keypoints over time, weighted by their scores; nothing is invented where nothing was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose.formats import Keypoints, PoseError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Smoothed:
    """Smoothed keypoints, and where joints were missing: ``gaps`` bool [L,P,K]. Missing joints stay missing."""

    keypoints: Keypoints
    gaps: NDArray[np.bool_]


def smooth(keypoints: Keypoints, sigma: float = 1.0) -> Smoothed:
    """Replace each seen joint's place by the mean of its neighbours in time, Gaussian (``sigma`` frames) times score.

    Scores stay as they are. A window does not reach over a gap: what lies behind missing frames has no say. A person
    must keep the same slot over time. Raises `PoseError` for a sigma that is not above 0.
    """
    if not sigma > 0:
        raise PoseError(f"smoothing needs a sigma above 0 frames, got {sigma}")
    seen = keypoints.score > 0
    stretch = np.cumsum(~seen, axis=0)
    total = np.zeros(keypoints.xy.shape, np.float64)
    weight = np.zeros(keypoints.score.shape, np.float64)
    reach = min(int(np.ceil(3 * sigma)), len(keypoints) - 1)
    for shift in range(-reach, reach + 1):
        here, there = _overlap(len(keypoints), shift)
        linked = seen[here] & seen[there] & (stretch[here] == stretch[there])
        share = np.exp(-0.5 * (shift / sigma) ** 2) * keypoints.score[there] * linked
        total[here] += share[..., None] * keypoints.xy[there]
        weight[here] += share
    mean = total / np.where(seen, weight, 1)[..., None]
    xy = np.where(seen[..., None], mean, -1).astype(np.float32)
    return Smoothed(keypoints=Keypoints(xy=xy, score=keypoints.score, format=keypoints.format), gaps=~seen)


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """Frames that have a neighbour ``shift`` frames on, and those neighbours."""
    return slice(max(0, -shift), length - max(0, shift)), slice(max(0, shift), length + min(0, shift))
