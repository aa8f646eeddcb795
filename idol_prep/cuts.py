"""Scene cuts: where one shot ends and another begins.

A frame is summed up by the colours of a 16 x 16 grid. A cut is a step between two frames that is large by itself, and
large against the two steps before and behind it: movement goes on for more than one step, and so does a flash. Fades
are no cuts. Nothing before the current shot has a say, so a video that is taken up again at a cut is cut alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LOOK_AHEAD = 2
"""Frames behind a step that are needed to judge it."""

_GRID, _SAMPLES = 16, 4
_STEP = 18.0
"""Mean change of the grid's colours, of 255. A person who dances through half of the picture stays below 10."""
_RATIO = 2.5


def signature(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame [H,W,3] as the mean colours of a grid [16,16,3], from 4 x 4 samples a cell."""
    fine = _GRID * _SAMPLES
    rows, columns = ((np.arange(fine) + 0.5) * side / fine for side in rgb.shape[:2])
    samples = rgb[rows.astype(int)[:, None], columns.astype(int)[None]].astype(np.float32)
    return samples.reshape(_GRID, _SAMPLES, _GRID, _SAMPLES, 3).mean(axis=(1, 3))


class CutFinder:
    """Follows one shot frame by frame."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._steps: list[float] = []

    def begins_a_shot(self, here: NDArray[np.float32], behind: Sequence[NDArray[np.float32]]) -> bool:
        """Whether the frame of this signature belongs to a new shot; ``behind`` are up to two that follow it."""
        if self._last is None:
            self._last = here
            return False
        step = _distance(self._last, here)
        around = self._steps[-LOOK_AHEAD:] + [
            _distance(one, next_one) for one, next_one in zip([here, *behind], behind, strict=False)
        ]
        self._last = here
        self._steps = [*self._steps[-LOOK_AHEAD:], step]
        return step > _STEP and step > _RATIO * max(around, default=0.0)


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())
