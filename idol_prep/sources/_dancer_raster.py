"""Capsules to pictures: colour, silhouette and exact depth, at twice the resolution and averaged down."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.sources._dancer_body import Capsule
from idol_prep.sources._dancer_scene import Camera

Float = NDArray[np.float32]

_FINE = 2
"""Samples a pixel in each direction."""
_LIGHT = np.array([-0.4, -0.5, 0.77], dtype=np.float32)
_AMBIENT, _DIFFUSE = 0.62, 0.45
_STRIPES = 5


@dataclass(frozen=True, slots=True)
class Canvas:
    """One frame being drawn on the fine grid; depth is in metres from the camera, infinite where nobody is."""

    colour: Float
    depth: Float

    def draw(self, capsule: Capsule, frame: int, camera: Camera) -> None:
        """Draw one capsule where it is nearer than what is there; work stays inside its bounding box."""
        ends = camera.project(np.stack([capsule.start[frame], capsule.end[frame]]))
        (ax, ay, az), (bx, by, bz) = ends * (_FINE, _FINE, 1)
        pixels = camera.scale * _FINE
        r0, r1 = (radius * pixels for radius in capsule.radii)
        box = _box((ax, bx), (ay, by), max(r0, r1), self.depth.shape)
        if box is None:
            return
        rows, columns = box
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + 0.5
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-6), 0, 1)
        radius = r0 + along * (r1 - r0)
        across_x, across_y = x - ax - along * dx, y - ay - along * dy
        inside = radius * radius - across_x * across_x - across_y * across_y
        bulge = np.sqrt(np.maximum(inside, 0))
        depth = az + along * (bz - az) - bulge / pixels
        seen = (inside > 0) & (depth < self.depth[rows, columns])
        light = (across_x * _LIGHT[0] + across_y * _LIGHT[1] + bulge * _LIGHT[2]) / radius
        shade = _AMBIENT + _DIFFUSE * np.clip(light, 0, 1)
        self.depth[rows, columns][seen] = depth[seen]
        self.colour[rows, columns][seen] = (_paint(capsule, along) * shade[..., None])[seen]


def render(
    figure: Sequence[Capsule], camera: Camera, background: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Float]:
    """Draw the figure over the background in every frame.

    Returns:
        frames uint8 [L, H, W, 3]; mask uint8 [L, H, W], 1 where at least half of a pixel is the dancer; depth float32
        [L, H, W] in metres, the mean over the covered part of the pixel, NaN outside the mask.
    """
    fine = background.repeat(_FINE, axis=0).repeat(_FINE, axis=1).astype(np.float32)
    drawn = [_frame(figure, frame, camera, fine) for frame in range(len(figure[0].start))]
    frames, masks, depths = (np.stack(track) for track in zip(*drawn, strict=True))
    return frames, masks, depths


def _frame(
    figure: Sequence[Capsule], frame: int, camera: Camera, fine: Float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Float]:
    canvas = Canvas(fine.copy(), np.full(fine.shape[:2], np.inf, dtype=np.float32))
    for capsule in figure:
        canvas.draw(capsule, frame, camera)
    height, width = (side // _FINE for side in fine.shape[:2])
    colour = canvas.colour.reshape(height, _FINE, width, _FINE, 3).mean(axis=(1, 3))
    depth = canvas.depth.reshape(height, _FINE, width, _FINE)
    covered = np.isfinite(depth)
    count = covered.sum(axis=(1, 3))
    mask = count >= _FINE * _FINE / 2
    mean = np.where(covered, depth, 0).sum(axis=(1, 3)) / np.maximum(count, 1)
    return (
        np.clip(np.rint(colour), 0, 255).astype(np.uint8),
        mask.astype(np.uint8),
        np.where(mask, mean, np.nan).astype(np.float32),
    )


def _paint(capsule: Capsule, along: Float) -> NDArray[np.float64]:
    if capsule.stripe is None:
        return capsule.colour[None, None]
    return np.where((np.floor(along * _STRIPES) % 2 == 0)[..., None], capsule.colour, capsule.stripe)


def _box(
    xs: tuple[float, float], ys: tuple[float, float], radius: float, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Rows and columns that a capsule may touch, or None if it lies outside the picture."""
    rows = slice(max(0, int(min(ys) - radius - 1)), min(shape[0], int(max(ys) + radius + 2)))
    columns = slice(max(0, int(min(xs) - radius - 1)), min(shape[1], int(max(xs) + radius + 2)))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
