"""Which windows a step trains on: a pure function of seed, stage and step.

Nothing is remembered between steps, so a run that starts again at step k sees exactly what it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from idol_model.data import BackgroundKind, DataShortage
from idol_model.recipe import DataConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One sample: frames ``start:stop`` of clip ``clip`` (a position), and what random choices fell on it."""

    number: int
    """Which sample of the run this is, from 0: the key of whatever is random about it later."""
    clip: int
    start: int
    stop: int
    background: BackgroundKind
    foreground_left_out: bool


class WindowPlan:
    """Windows of ``frames`` frames for every step. Each clip comes once in an epoch, whatever its length.

    A clip shorter than the window cannot be used; `left_out` counts them.
    """

    def __init__(self, lengths: Sequence[int], frames: int, batch_size: int, data: DataConfig, seed: int) -> None:
        self.frames, self.batch_size, self.seed = frames, batch_size, seed
        self._data = data
        self._lengths = np.asarray(lengths)
        self._usable = np.flatnonzero(self._lengths >= frames)
        self.left_out = len(self._lengths) - len(self._usable)
        if len(self._usable) == 0:
            raise DataShortage(
                f"no training clip has the {frames} frames of a window (longest: {max(lengths, default=0)}); "
                "prepare longer clips, or train with fewer frames"
            )

    def step(self, step: int) -> tuple[Window, ...]:
        """The windows of one step, in batch order."""
        rng = np.random.default_rng([self.seed, self.frames, 1, step])
        return tuple(self._window(step * self.batch_size + i, rng) for i in range(self.batch_size))

    def _window(self, position: int, rng: np.random.Generator) -> Window:
        epoch, place = divmod(position, len(self._usable))
        clip = int(_order(self.seed, epoch, self._usable.tobytes())[place])
        start = int(rng.integers(self._lengths[clip] - self.frames + 1))
        plate, left_out = rng.random(2)
        return Window(
            number=position,
            clip=clip,
            start=start,
            stop=start + self.frames,
            background=_background(self._data.background, plate),
            foreground_left_out=bool(left_out < self._data.foreground_dropout),
        )


def _background(choice: Literal["reference", "plate", "mixed"], chance: float) -> BackgroundKind:
    if choice == "mixed":
        return "plate" if chance < 0.5 else "reference"
    return choice


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, clips: bytes) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(np.frombuffer(clips, dtype=np.int64))
