"""Joints in OpenPose's heat maps at the size of the frame, without ever making maps of that size.

Between the network's maps (one cell for 8 of its pixels) and the frame, OpenPose's reference enlarges twice, cuts off
padding, and smooths. All of that is linear and acts on rows and columns apart, so a map M at the size of the frame is
A M B' with two narrow matrices, made once for each size. Values are then taken where they are needed: on a coarse grid
to find peaks, in a window around each to place them to the pixel, and along limbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRIDE = 8
THRESHOLD = 0.1
"""Of a peak's smoothed value."""

_SIGMA = 3.0
"""Smoothing of the heat maps before peaks are sought, in pixels of the frame."""
_PER_CELL = 4
"""Coarse samples for each cell of the network's maps, along one side."""
_CLIMBS = 8


@dataclass(frozen=True, slots=True)
class Enlargement:
    """From a network map to the frame along one axis: ``plain`` and ``smooth`` float32 [side, cells]."""

    plain: NDArray[np.float32]
    smooth: NDArray[np.float32]
    step: int
    """Pixels of the frame between coarse samples."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of all joints: ``joint`` int [n], ``xy`` int [n,2] in pixels of the frame, ``score`` float32 [n]."""

    joint: NDArray[np.int64]
    xy: NDArray[np.int64]
    score: NDArray[np.float32]

    def of(self, joint: int) -> NDArray[np.int64]:
        """Numbers of one joint's peaks."""
        return np.flatnonzero(self.joint == joint)


@lru_cache(maxsize=64)
def enlargement(cells: int, side: int, network_side: int) -> Enlargement:
    """The matrices of one axis. ``network_side`` is the frame's side at the network's input, before padding."""
    from scipy.ndimage import gaussian_filter1d

    to_network = _resized(np.eye(cells), cells * STRIDE)[:network_side]
    plain = _resized(to_network, side)
    smooth = gaussian_filter1d(plain, _SIGMA, axis=0)
    step = max(1, int(side / network_side * STRIDE / _PER_CELL))
    return Enlargement(plain.astype(np.float32), smooth.astype(np.float32), step)


def find_peaks(heat: NDArray[np.float32], down: Enlargement, across: Enlargement) -> Peaks:
    """Peaks of the joints' heat maps [K,h,w] above the threshold, row by row."""
    coarse = _values(heat, down.smooth[:: down.step], across.smooth[:: across.step])
    found = [
        (joint, *_climb(heat[joint], down, across, row, column))
        for joint, row, column in zip(*np.nonzero(_is_peak(coarse) & (coarse > THRESHOLD / 2)), strict=True)
    ]
    places = sorted({(int(joint), y, x) for joint, y, x, value in found if value > THRESHOLD})
    joint, y, x = np.array(places, np.int64).reshape(-1, 3).T
    score = ((down.plain[y][:, None] @ heat[joint])[:, 0] * across.plain[x]).sum(axis=1)
    return Peaks(joint, np.stack([x, y], axis=1), score)


def values_at(
    maps: NDArray[np.float32], xy: NDArray[np.int64], down: Enlargement, across: Enlargement
) -> NDArray[np.float32]:
    """Values [C,n] of maps [C,h,w] at pixels [n,2] of the frame."""
    rows, columns = down.plain[xy[:, 1]], across.plain[xy[:, 0]]
    return ((rows @ maps) * columns).sum(axis=-1)


def _resized(columns: NDArray, length: int) -> NDArray[np.float64]:
    """Columns stretched along the first axis as OpenPose's reference does: Lanczos, area mean where it shrinks."""
    import cv2

    method = cv2.INTER_AREA if length < len(columns) else cv2.INTER_LANCZOS4
    resized = cv2.resize(np.asarray(columns, np.float64), (columns.shape[1], length), interpolation=method)
    return np.asarray(resized, np.float64)


def _values(maps: NDArray[np.float32], down: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.float32]:
    return down @ maps @ across.T


def _is_peak(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where [...,h,w] is not below its four neighbours; beyond the edge lies 0."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    centre = padded[:, 1:-1, 1:-1]
    return (
        (centre >= padded[:, :-2, 1:-1])
        & (centre >= padded[:, 2:, 1:-1])
        & (centre >= padded[:, 1:-1, :-2])
        & (centre >= padded[:, 1:-1, 2:])
    )


def _climb(
    heat: NDArray[np.float32], down: Enlargement, across: Enlargement, row: int, column: int
) -> tuple[int, int, float]:
    """From a coarse sample to the highest pixel around it, further where that lies on the window's edge."""
    y, x, value = int(row) * down.step, int(column) * across.step, 0.0
    for _ in range(_CLIMBS):
        top, left = max(0, y - down.step), max(0, x - across.step)
        window = down.smooth[top : y + down.step + 1] @ heat @ across.smooth[left : x + across.step + 1].T
        up, along = divmod(int(window.argmax()), window.shape[1])
        value = float(window[up, along])
        if (top + up, left + along) == (y, x):
            break
        y, x = top + up, left + along
    return y, x, value
