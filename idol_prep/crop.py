"""One box a frame for all tracks of a clip: where it lies, and cutting tracks along it.

Coordinates are pixels of the source frame, its top left corner at (0, 0). A box may reach over the frame's edge
(a tall person in an upright video): pictures are black there, masks and depth empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep.annotators.protocol import Relief
from idol_prep.pose import Keypoints

CropMode = Literal["person", "center", "none"]
Edges = tuple[float, float, float, float]
"""Left, top, right, bottom."""
MODES: tuple[CropMode, ...] = ("person", "center", "none")

_SEEN = 0.3
"""Keypoint score from which a joint counts for the box."""
_MARGIN = 1.12
"""Box side over the subject's extent."""
_STILL = 1.35
"""One resting box is taken where it need not be larger than this, in units of the moving box's side."""
_SMOOTHING_SECONDS = 0.6
_MULTIPLE = 8
_REDUCING_GAP = 1.4


@dataclass(frozen=True, kw_only=True, slots=True)
class CropPlan:
    """A box for each of L frames: ``left`` and ``top`` float [L], one extent for all."""

    left: NDArray[np.float64]
    top: NDArray[np.float64]
    width: float
    height: float
    size: tuple[int, int]
    """Height and width of the pictures that come out."""

    @property
    def resolution(self) -> float:
        """Source pixels for each pixel that comes out, along one side; below 1 the crop is an enlargement."""
        return self.height / self.size[0]

    def box(self, index: int) -> Edges:
        """Left, top, right, bottom of frame ``index``."""
        left, top = float(self.left[index]), float(self.top[index])
        return left, top, left + self.width, top + self.height


def subject_boxes(keypoints: Keypoints, mask_boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left, top, right, bottom of the person in each frame, float [L,4]; NaN where there is none.

    The joints that were seen and the mask's own box (NaN where empty) together: joints end at wrists and ankles, a
    mask may lose a hidden foot.
    """
    seen = keypoints.score[:, 0] >= _SEEN
    xy = np.where(seen[..., None], keypoints.xy[:, 0].astype(np.float64), np.nan)
    joints = np.full((len(xy), 4), np.nan)
    some = seen.any(axis=1)
    joints[some] = np.concatenate([np.nanmin(xy[some], axis=1), np.nanmax(xy[some], axis=1)], axis=1)
    low = np.fmin(joints[:, :2], mask_boxes[:, :2])
    high = np.fmax(joints[:, 2:], mask_boxes[:, 2:])
    return np.concatenate([low, high], axis=1)


def mask_box(mask: NDArray[np.uint8], scale: float = 1.0) -> Edges:
    """Left, top, right, bottom of what the mask [H,W] is sure of (above 127), times ``scale``; NaN where empty."""
    sure = mask > 127
    rows, columns = np.flatnonzero(sure.any(axis=1)), np.flatnonzero(sure.any(axis=0))
    if not rows.size:
        return np.nan, np.nan, np.nan, np.nan
    return columns[0] * scale, rows[0] * scale, (columns[-1] + 1) * scale, (rows[-1] + 1) * scale


def plan(mode: CropMode, boxes: NDArray[np.float64], frame_size: tuple[int, int], size: int, fps: float) -> CropPlan:
    """The boxes of a clip from the subject's boxes [L,4] (NaN rows are gaps and get filled in).

    ``person``: a square around the subject of one size for the whole clip; it rests where the subject stays within
    reach, so that the background stands still, and follows on a smoothed path where not. ``center``: the largest
    centred square. ``none``: the whole frame, the shorter side ``size``, sides multiples of 8.
    """
    height, width = frame_size
    if mode == "none":
        scale = size / min(height, width)
        out = tuple(max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (height, width))
        return _resting(len(boxes), 0.0, 0.0, (width, height), (out[0], out[1]))
    if mode == "center" or np.isnan(boxes).all():
        side = min(height, width)
        return _resting(len(boxes), (width - side) / 2, (height - side) / 2, (side, side), (size, size))
    return _around_person(_fill_gaps(boxes), frame_size, size, fps)


def cut_picture(picture: NDArray[np.uint8], box: Edges, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The box of an RGB picture [H,W,3], resampled with antialiasing to ``size``.

    A large box is first averaged over whole squares of pixels, down to at least 1.4 times the size: that halves the
    time, and changes less than another good filter would.
    """
    inner, moved = _padded(picture, box)
    cut = Image.fromarray(inner).resize(
        (size[1], size[0]), Image.Resampling.BICUBIC, box=moved, reducing_gap=_REDUCING_GAP
    )
    return np.asarray(cut)


def cut_mask(mask: NDArray[np.uint8], box: Edges, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The box of a coverage mask [H,W] (0 to 255) as labels: 1 where more than half of the pixel is the person."""
    inner, moved = _padded(mask, box)
    coverage = Image.fromarray(inner).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=moved)
    return (np.asarray(coverage) > 127).astype(np.uint8)


def cut_depth(depth: NDArray[np.float32], box: Edges, size: tuple[int, int]) -> NDArray:
    """The box of a depth map [H,W]; values mix with their valid neighbours only, NaN where fewer than half are."""
    valid = np.isfinite(depth)
    value, moved = _padded(np.where(valid, depth, 0).astype(np.float32), box)
    weight, _ = _padded(valid.astype(np.float32), box)
    resized = [
        np.asarray(Image.fromarray(part).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=moved))
        for part in (value, weight)
    ]
    return np.where(resized[1] > 0.5, resized[0] / np.maximum(resized[1], 1e-6), np.nan).astype(np.float32)


def cut_labels(labels: NDArray[np.uint8], box: Edges, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The box of a map [H,W,C] whose values must not mix, such as DensePose; the nearest value, 0 beyond the edge."""
    inner, moved = _padded(labels, box)
    return np.asarray(Image.fromarray(inner).resize((size[1], size[0]), Image.Resampling.NEAREST, box=moved))


def move_points(xy: NDArray[np.float32], crop: CropPlan) -> NDArray[np.float32]:
    """Points [L,...,2] of source frames in pixels of the crop."""
    extra = (1,) * (xy.ndim - 2)
    origin = np.stack([crop.left, crop.top], axis=-1).reshape(len(xy), *extra, 2)
    scale = np.array([crop.size[1] / crop.width, crop.size[0] / crop.height])
    return ((xy - origin) * scale).astype(np.float32)


def move_relief(relief: Relief, crop: CropPlan) -> Relief:
    """A relief of source frames in pixels of the crop; depths stay in metres."""
    return Relief(xy=move_points(relief.xy, crop), z=relief.z)


def _around_person(boxes: NDArray[np.float64], frame_size: tuple[int, int], size: int, fps: float) -> CropPlan:
    extent = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    side = float(np.percentile(extent, 98)) * _MARGIN
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    whole = float((high - low).max()) * _MARGIN
    if whole <= _STILL * side:
        side = whole
        centre = np.tile((low + high) / 2, (len(boxes), 1))
    else:
        centre = _smooth((boxes[:, :2] + boxes[:, 2:]) / 2, sigma=_SMOOTHING_SECONDS * fps)
    side = _without_needless_border(side, min(frame_size))
    left = _kept_inside(centre[:, 0] - side / 2, side, frame_size[1])
    top = _kept_inside(centre[:, 1] - side / 2, side, frame_size[0])
    return CropPlan(left=left, top=top, width=side, height=side, size=(size, size))


def _without_needless_border(side: float, short: int) -> float:
    """Give up the margin, no more, where that keeps the box within the frame's shorter side."""
    return max(min(side, max(float(short), side / _MARGIN)), 2.0)


def _resting(length: int, left: float, top: float, extent: tuple[float, float], size: tuple[int, int]) -> CropPlan:
    return CropPlan(
        left=np.full(length, float(left)),
        top=np.full(length, float(top)),
        width=float(extent[0]),
        height=float(extent[1]),
        size=size,
    )


def _kept_inside(start: NDArray[np.float64], side: float, frame: int) -> NDArray[np.float64]:
    """Shift boxes into the frame; one larger than the frame is centred over it."""
    if side >= frame:
        return np.full_like(start, (frame - side) / 2)
    return np.clip(start, 0, frame - side)


def _fill_gaps(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear in time between the frames that have a box; constant before the first and after the last."""
    known = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    at = np.arange(len(boxes))
    return np.stack([np.interp(at, known, boxes[known, edge]) for edge in range(4)], axis=1)


def _smooth(path: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian mean along time, ends mirrored about their value."""
    reach = max(1, min(int(3 * sigma), len(path) - 1))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    taps /= taps.sum()
    longer = np.pad(path, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd") if len(path) > 1 else path
    if len(path) == 1:
        return path
    return np.stack([np.convolve(longer[:, axis], taps, mode="valid") for axis in range(2)], axis=1)


def _padded(picture: NDArray, box: Edges) -> tuple[NDArray, Edges]:
    """The whole-pixel part of the picture that the box needs, 0 beyond the picture, and the box within it."""
    height, width = picture.shape[:2]
    left, top = int(np.floor(box[0])), int(np.floor(box[1]))
    right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
    inner = picture[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    over = ((max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)))
    if any(sum(pair) for pair in over):
        inner = np.pad(inner, (*over, (0, 0))[: picture.ndim])
    return np.ascontiguousarray(inner), (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
