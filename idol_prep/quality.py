"""How good a prepared clip is, in a few numbers, and which clips to leave out.

`ClipMeter` takes the cropped tracks chunk by chunk and carries one frame over, so its memory does not grow.

=================  =====================================================================================
``missed_frames``  part of the frames without a person
``missed_joints``  part of the joints with a score below 0.3, in frames with a person
``jumps``          part of the frame steps in which the body moves by more than a quarter of its height
``mask_area``      mean part of the picture that is the person
``mask_flicker``   mean change of the mask from frame to frame, changed pixels over pixels in either
``depth_flicker``  mean change of depth from frame to frame where both have one, over the clip's range
``depth_cover``    part of the person's pixels that have a depth
``resolution``     source pixels for each pixel of the crop along one side; below 1 it is an enlargement
``crowd``          part of the frames in which more than one person was found, by annotators that find several
``cuts``           scene cuts inside, where videos are not split at them
``skipped_frames`` frames that numbering or timestamps leave out inside: lost ones, or a variable frame rate
=================  =====================================================================================
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose import Keypoints, to_openpose18

_SEEN = 0.3
_JUMP = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityLimits:
    """Beyond these a clip becomes a reject. They keep out failures, not merely hard clips."""

    min_frames: int = 8
    max_missed_frames: float = 0.5
    max_jumps: float = 0.2
    min_mask_area: float = 0.005
    max_missed_joints: float = 1.0
    max_mask_flicker: float = 1.0
    max_depth_flicker: float = 1.0
    min_resolution: float = 0.0
    max_crowd: float = 1.0
    max_cuts: float = np.inf


def narrowed(limits: QualityLimits) -> dict[str, float]:
    """The limits that differ from the standard ones, by name."""
    standard = asdict(QualityLimits())
    return {name: value for name, value in asdict(limits).items() if value != standard[name]}


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: float = 0.0

    def add(self, total: float, count: float) -> None:
        self.total += float(total)
        self.count += float(count)

    def value(self, empty: float = 0.0) -> float:
        return self.total / self.count if self.count else empty


@dataclass(slots=True)
class ClipMeter:
    """Adds up one clip's tracks; `scores` at the end."""

    _area: _Mean = field(default_factory=_Mean)
    _mask_flicker: _Mean = field(default_factory=_Mean)
    _depth_flicker: _Mean = field(default_factory=_Mean)
    _cover: _Mean = field(default_factory=_Mean)
    _last: tuple[NDArray, NDArray] | None = None

    def add(self, mask: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        """The next frames' mask labels [L,H,W] and raw depth [L,H,W]."""
        person, has_depth = mask > 0, np.isfinite(depth)
        self._area.add(person.sum(), person.size)
        self._cover.add((person & has_depth).sum(), person.sum())
        for one_mask, one_depth in zip(person, depth, strict=True):
            if self._last is not None:
                self._step(*self._last, one_mask, one_depth)
            self._last = (one_mask, one_depth)

    def _step(self, mask_a: NDArray, depth_a: NDArray, mask_b: NDArray, depth_b: NDArray) -> None:
        self._mask_flicker.add((mask_a ^ mask_b).sum(), max((mask_a | mask_b).sum(), 1))
        both = mask_a & mask_b
        change = np.abs(depth_b[both] - depth_a[both])
        change = change[np.isfinite(change)]
        self._depth_flicker.add(change.sum(dtype=np.float64), change.size)

    def scores(self, keypoints: Keypoints, resolution: float, depth_span: float) -> dict[str, float]:
        """The table above, with the whole clip's keypoints; ``depth_span`` is the clip's depth range."""
        span = depth_span if depth_span > 0 else 1.0
        scores = pose_scores(keypoints) | {
            "mask_area": self._area.value(),
            "mask_flicker": self._mask_flicker.value(),
            "depth_flicker": self._depth_flicker.value() / span,
            "depth_cover": self._cover.value(),
            "resolution": resolution,
        }
        return {name: round(float(value), 5) for name, value in scores.items()}


def pose_scores(keypoints: Keypoints) -> dict[str, float]:
    """``missed_frames``, ``missed_joints`` and ``jumps`` of the first person's joints."""
    body = to_openpose18(keypoints)
    xy, score = body.xy[:, 0], body.score[:, 0]
    seen = score >= _SEEN
    someone = seen.any(axis=1)
    missed_joints = 1 - seen[someone].mean() if someone.any() else 1.0
    return {
        "missed_frames": float(1 - someone.mean()),
        "missed_joints": float(missed_joints),
        "jumps": _jumps(xy, seen),
    }


def why_reject(scores: dict[str, float], frames: int, limits: QualityLimits) -> str | None:
    """The reason to leave a clip out in a few words, its kind before the colon; None where it is good enough."""
    if frames < limits.min_frames:
        return f"too short: {frames} frames, at least {limits.min_frames} are needed"
    if scores["missed_frames"] >= 1:
        return "no person: nobody was found in any frame"
    if scores["missed_frames"] > limits.max_missed_frames:
        return f"no person: nobody was found in {scores['missed_frames']:.0%} of the frames"
    if scores["jumps"] > limits.max_jumps:
        return f"unsteady: the body jumps in {scores['jumps']:.0%} of the steps; several persons, or cuts?"
    if scores["mask_area"] < limits.min_mask_area:
        return f"no mask: the person covers {scores['mask_area']:.2%} of the picture"
    return _beyond(scores, limits)


def _beyond(scores: dict[str, float], limits: QualityLimits) -> str | None:
    """The first score beyond its limit; those limits are as wide as the scores until somebody narrows them."""
    for name in ("missed_joints", "mask_flicker", "depth_flicker", "crowd", "cuts"):
        limit = getattr(limits, f"max_{name}")
        if scores.get(name, 0.0) > limit:
            return f"{name.replace('_', ' ')}: {scores[name]:.3f}, at most {limit:g} is wanted"
    if scores.get("resolution", np.inf) < limits.min_resolution:
        return f"resolution: {scores['resolution']:.3f}, at least {limits.min_resolution:g} is wanted"
    return None


def _jumps(xy: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """Part of the steps between neighbouring frames in which the median joint moves by more than `_JUMP` heights."""
    steps = jumps = 0
    for first, second, both in zip(xy[:-1], xy[1:], seen[:-1] & seen[1:], strict=True):
        if both.sum() < 3:
            continue
        height = max(np.ptp(first[both], axis=0).max(), 1.0)
        steps += 1
        jumps += np.median(np.linalg.norm(second[both] - first[both], axis=-1)) > _JUMP * height
    return jumps / steps if steps else 0.0
