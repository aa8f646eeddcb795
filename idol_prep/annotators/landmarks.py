"""Depth grown from 3D joints: an APPROXIMATION for machines without a depth network, labelled so in every record.

MediaPipe gives each joint a depth in metres. Each bone carries it linearly from end to end, and a pixel of the person
takes the mean of the bones around it, weighted by closeness in units of the bone's thickness; where bones overlap the
nearer one wins, as it hides the other. The result is smooth over the body and knows which limb is in front. It knows
nothing of faces, clothes or how far the person stands from the camera.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep.annotators.mediapipe_pose import missing
from idol_prep.annotators.protocol import AnnotatorInfo, Batch, Relief
from idol_prep.schema import DataError, Polarity, Scope

__all__ = ["LandmarksDepth", "depth_from_relief", "describe", "missing"]

_BONES = np.array(
    [
        (11, 12), (23, 24), (11, 23), (12, 24), (11, 24), (12, 23),  # torso, crossed
        (11, 13), (13, 15), (15, 19), (12, 14), (14, 16), (16, 20),  # arms and hands
        (23, 25), (25, 27), (27, 31), (24, 26), (26, 28), (28, 32),  # legs and feet
        (0, 7), (0, 8), (7, 8), (0, 33), (33, 34),  # head and neck
    ]
)  # fmt: skip
"""Pairs of BlazePose landmarks; 33 is the middle of the shoulders, 34 that of the hips."""
_THICKNESS = np.array([1.0] * 6 + [0.5, 0.4, 0.4] * 2 + [0.7, 0.5, 0.4] * 2 + [0.6] * 5, np.float32)
"""Relative half width of each bone's flesh."""

_GRID = 48
"""Side of the coarse grid on which depth is mixed; bones are far thicker than one of its cells."""
_HIDING = 0.12
"""Metres: a bone this much nearer than another outweighs it e times where they overlap."""
_FRAMES_AT_ONCE = 8
"""Bounds the working memory: 8 x 23 x 48 x 48 floats are 1.7 MB an intermediate."""


class LandmarksDepth:
    """Depth from joints, metres from the middle of the hips, larger is farther, over the person only."""

    polarity: ClassVar[Polarity] = "distance"
    scope: ClassVar[Scope] = "person"
    info: ClassVar = AnnotatorInfo(
        name="landmarks",
        kind="depth",
        version="1",
        licence="Apache-2.0",
        approximate=True,
        note="approximation: grown from MediaPipe's 3D joints, metres from the hips; not a measured depth",
    )

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Nothing is held."""

    def depth(self, batch: Batch) -> NDArray[np.float32]:
        """Depth [L,H,W]; NaN off the mask and in frames without a person."""
        if batch.pose is None or batch.pose.relief is None or batch.mask is None:
            raise DataError("depth from landmarks needs 3D joints and a mask; use --pose mediapipe, or another --depth")
        relief, size = batch.pose.relief, (batch.mask.shape[1], batch.mask.shape[2])
        parts = [
            depth_from_relief(Relief(xy=relief.xy[part], z=relief.z[part]), size)
            for part in _slices(len(batch.mask), _FRAMES_AT_ONCE)
        ]
        return np.where(batch.mask > 0, np.concatenate(parts), np.float32(np.nan))


def describe() -> AnnotatorInfo:
    """Version and licence."""
    return LandmarksDepth.info


def depth_from_relief(relief: Relief, size: tuple[int, int]) -> NDArray[np.float32]:
    """Smooth depth float32 [L,H,W] over the whole frame from joints; NaN frames where there is no person."""
    height, width = size
    xy, z = _with_middles(relief)
    rows, columns = _cell_centres(height), _cell_centres(width)
    coarse = _mix_bones(xy, z, rows, columns)
    return _upsample(coarse, height, width)


def _with_middles(relief: Relief) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Joints with the middles of shoulders and hips appended: [L,35,2] and [L,35]."""
    pairs = [(11, 12), (23, 24)]
    xy = np.concatenate([relief.xy, *(relief.xy[:, pair].mean(axis=1, keepdims=True) for pair in pairs)], axis=1)
    z = np.concatenate([relief.z, *(relief.z[:, pair].mean(axis=1, keepdims=True) for pair in pairs)], axis=1)
    return xy, z


def _cell_centres(side: int) -> NDArray[np.float32]:
    """Pixel coordinates of the grid's cells along one side."""
    cells = min(_GRID, side)
    return ((np.arange(cells) + 0.5) * (side / cells)).astype(np.float32)


def _mix_bones(
    xy: NDArray[np.float32], z: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted mean of the bones' depth in each grid cell, [L, rows, columns]."""
    start, end = xy[:, _BONES[:, 0], :, None, None], xy[:, _BONES[:, 1], :, None, None]  # [L,bones,2,1,1]
    along = end - start
    length2 = np.maximum((along**2).sum(axis=2), 1e-6)
    # a point of the grid relative to the bone's start; x varies over columns, y over rows
    dx, dy = columns[None, None, None, :] - start[:, :, 0], rows[None, None, :, None] - start[:, :, 1]
    t = np.clip((dx * along[:, :, 0] + dy * along[:, :, 1]) / length2, 0, 1)
    distance2 = (dx - t * along[:, :, 0]) ** 2 + (dy - t * along[:, :, 1]) ** 2
    z_start, z_end = z[:, _BONES[:, 0], None, None], z[:, _BONES[:, 1], None, None]
    depth = z_start + t * (z_end - z_start)
    flesh2 = (_body_scale(xy)[:, None] * _THICKNESS[None]) ** 2
    closeness = 1 / (distance2 / flesh2[:, :, None, None] + 0.25) ** 3
    weight = closeness * np.exp((depth.min(axis=1, keepdims=True) - depth) / _HIDING)
    return (weight * depth).sum(axis=1) / weight.sum(axis=1)


def _body_scale(xy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the torso's width in pixels, from its length where the body stands sideways: [L]."""
    torso = np.linalg.norm(xy[:, 33] - xy[:, 34], axis=-1)
    shoulders = np.linalg.norm(xy[:, 11] - xy[:, 12], axis=-1)
    return np.maximum(np.maximum(0.3 * torso, 0.4 * shoulders), 1.0)


def _upsample(coarse: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear between cell centres, constant beyond the outermost: [L,h,w] to [L,height,width].

    Pillow's resize rather than two matrix products, whose threads would wait for those of the pose network.
    """
    pictures = (Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR) for cells in coarse)
    return np.stack([np.asarray(picture) for picture in pictures])


def _slices(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
