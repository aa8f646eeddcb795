"""A video in relief seen by a camera that moves on a small arc (the paper's Fig. 1, right): 2.5D rendered to frames.

The frame is a thin shell pushed forward by its depth. Each pixel's ray marches through it from near to far and ends
where it meets the shell; it slips past outlines, where the shell is torn, and then meets the backdrop behind.
Nothing is drawn at random: the same sample gives the same frames.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from idol_model.render.backdrop import FAR

RELIEF = 0.6
"""Distance between depth 0 and depth 1, in widths of the picture."""
_CUT = 0.2
"""A step of depth between neighbouring samples that tears the shell."""
_RIM = 2
"""Pixels beside an outline whose colour and depth are mixed."""
_STEPS = 48
"""Samples along a ray, before the last is refined."""
_FINER = 2
"""Rays a pixel on each side; their mean smooths outlines."""

Rgbd = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""A frame uint8 [H, W, 3] and its depth float32 [H, W] in [0, 1], 0 near."""
_Grid = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arc:
    """The camera's way: from side to side by ``degrees`` and a quarter of that up and down, once in ``seconds``.

    ``zoom`` keeps what lies beside the picture out of sight; ``distance`` of the camera is in widths of the picture.
    """

    degrees: float = 9.0
    seconds: float = 4.0
    zoom: float = 1.08
    distance: float = 2.6

    def frames(self, fps: float) -> int:
        """Frames until the camera is back where it began."""
        return max(2, round(self.seconds * fps))

    def turn(self, number: int, fps: float) -> NDArray[np.float64]:
        """Rotation [3, 3] of the camera about the picture's middle, at frame ``number``."""
        phase = 2 * math.pi * number / self.frames(fps)
        yaw = math.radians(self.degrees) * math.sin(phase)
        pitch = math.radians(self.degrees) / 4 * (1 - math.cos(phase))
        c, s = math.cos(yaw), math.sin(yaw)
        sideways = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float64)
        c, s = math.cos(pitch), math.sin(pitch)
        down = np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float64)
        return np.matmul(sideways, down)


def orbit(frames: Iterable[Rgbd], back: Rgbd, fps: float, arc: Arc | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame as the camera on its way sees it, uint8 [H, W, 3]; one frame is held at a time.

    ``back`` is what lies behind (`idol_model.render.backdrop`).

    Raises:
        ValueError: a frame and its depth, or the backdrop, of different sizes.
    """
    way = arc or Arc()
    for number, (rgb_HW3, depth_HW) in enumerate(frames):
        if not rgb_HW3.shape == (*depth_HW.shape, 3) == back[0].shape:
            raise ValueError(
                f"frame {number}: {rgb_HW3.shape} with depth {depth_HW.shape} before a backdrop {back[0].shape}; "
                "all must have one size"
            )
        frame = _clean_rim((rgb_HW3, _calm(depth_HW)), back)
        yield view(frame, back, way.turn(number, fps), way)


def view(frame: Rgbd, back: Rgbd, turn: NDArray[np.float64], arc: Arc) -> NDArray[np.uint8]:
    """One frame from a turned camera, uint8 [H, W, 3]. Without a turn it is the frame itself, enlarged by the zoom."""
    height, width = frame[1].shape
    origin, direction = _rays(height, width, turn, arc)
    colour, hit = _met(frame, origin, direction, arc.distance)
    colour[~hit], _ = _met(back, origin, direction[~hit], arc.distance, torn=False)
    fine = colour.reshape(height, _FINER, width, _FINER, 3)
    return np.rint(fine.mean(axis=(1, 3))).astype(np.uint8)


def _rays(height: int, width: int, turn: NDArray[np.float64], arc: Arc) -> tuple[NDArray[np.float64], _Grid]:
    """Where the camera stands [3], and each fine pixel's direction [h, w, 3], scaled so that z is -1."""
    rows, columns = (np.arange(side * _FINER, dtype=np.float64) + 0.5 for side in (height, width))
    x = (columns / _FINER - width / 2) / (width * arc.zoom)
    y = (height / 2 - rows / _FINER) / (width * arc.zoom)
    local = np.stack([*np.meshgrid(x, y), np.full((len(y), len(x)), -arc.distance)], axis=-1)
    turned = local @ turn.T
    return turn @ np.array([0, 0, arc.distance]), (turned / -turned[..., 2:]).astype(np.float32)


def _met(
    surface: Rgbd, origin: NDArray[np.float64], direction: _Grid, distance: float, torn: bool = True
) -> tuple[_Grid, NDArray[np.bool_]]:
    """Colour [..., 3] where each ray [..., 3] meets ``surface`` for the first time, and whether it does.

    A surface that is not ``torn`` is met by every ray: at the latest at its end.
    """
    rgb, depth = surface
    levels = np.linspace(0, 1, _STEPS + 1, dtype=np.float32)
    shape = direction.shape[:-1]
    level = np.full(shape, levels[-1], np.float32)
    hit = np.full(shape, not torn)
    before = _sampled(depth, *_place(levels[0], origin, direction, distance, depth.shape))
    open_ = np.ones(shape, bool)
    for last, now in pairwise(levels):
        here = _sampled(depth, *_place(now, origin, direction, distance, depth.shape))
        crossed = open_ & (before >= last) & (here <= now)
        if torn:
            crossed &= np.abs(here - before) < _CUT
        # The two straight lines, the ray's and the surface's, meet at this share of the step.
        above, below = before - last, now - here
        share = above / np.maximum(above + below, 1e-6)
        level[crossed] = (last + share * (now - last))[crossed]
        hit |= crossed
        open_ &= ~crossed
        before = here
    rows, columns = _place(level, origin, direction, distance, depth.shape)
    return _blended(rgb, depth, level, rows, columns), hit


def _place(
    level: NDArray[np.float32] | np.float32,
    origin: NDArray[np.float64],
    direction: _Grid,
    distance: float,
    shape: tuple[int, ...],
) -> tuple[_Grid, _Grid]:
    """Row and column of the source picture that the rays pass at depth ``level``."""
    z = (RELIEF * (0.5 - level)).astype(np.float32)
    along = np.float32(origin[2]) - z
    shrink = np.float32(distance) / (np.float32(distance) - z)
    x = (np.float32(origin[0]) + along * direction[..., 0]) * shrink
    y = (np.float32(origin[1]) + along * direction[..., 1]) * shrink
    height, width = shape
    return height / np.float32(2) - y * width - np.float32(0.5), x * width + width / np.float32(2) - np.float32(0.5)


def _sampled(depth: _Grid, rows: _Grid, columns: _Grid) -> _Grid:
    """The nearest pixel's depth; beside the picture its edge."""
    height, width = depth.shape
    row = np.clip(np.rint(rows), 0, height - 1).astype(np.intp)
    column = np.clip(np.rint(columns), 0, width - 1).astype(np.intp)
    return depth[row, column]


def _blended(rgb: NDArray[np.uint8], depth: _Grid, level: _Grid, rows: _Grid, columns: _Grid) -> _Grid:
    """Colour between four pixels, of those alone that lie where the ray ends, so that outlines stay sharp."""
    height, width = depth.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    total, weights = np.zeros((*level.shape, 3), np.float32), np.full(level.shape, 1e-6, np.float32)
    nearest = rgb[np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)].astype(np.float32)
    for down in (0, 1):
        for right in (0, 1):
            row, column = np.minimum(top + down, height - 1), np.minimum(left + right, width - 1)
            share = np.abs(1 - down - (rows - top)) * np.abs(1 - right - (columns - left))
            share = share * (np.abs(depth[row, column] - level) < _CUT)
            total += share[..., None] * rgb[row, column]
            weights += share
    return (total + 1e-6 * nearest) / weights[..., None]


def _calm(depth_HW: _Grid) -> _Grid:
    """Depth without specks, which would tear the shell inside a body; outlines stay where they are."""
    for _ in range(2):
        depth_HW = np.median(_around(depth_HW, 1), axis=0)
    return depth_HW


def _around(depth_HW: _Grid, reach: int) -> list[_Grid]:
    """The depth moved by up to ``reach`` pixels each way, [H, W] each."""
    height, width = depth_HW.shape
    padded = np.pad(depth_HW, reach, mode="edge")
    moves = range(2 * reach + 1)
    return [padded[y : y + height, x : x + width] for y in moves for x in moves]


def _clean_rim(frame: Rgbd, back: Rgbd) -> Rgbd:
    """The frame with backdrop in place of the far pixels beside an outline, whose colour is mixed with the person's."""
    rgb_HW3, depth_HW = frame
    around = _around(depth_HW, _RIM)
    near, far = np.minimum.reduce(around), np.maximum.reduce(around)
    rim = (far >= FAR) & (far - near > _CUT) & (depth_HW > (near + far) / 2)
    return np.where(rim[..., None], back[0], rgb_HW3), np.where(rim, back[1], depth_HW)
