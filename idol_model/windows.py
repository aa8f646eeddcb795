"""Which windows a step trains on: a pure function of seed, stage and step.

Nothing is remembered between steps, so a run that starts again at step k sees exactly what it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from idol_model.data import BackgroundKind
from idol_model.feed.mixture import Mixture
from idol_model.feed.order import Order
from idol_model.recipe import DataConfig

_STEP, _INSTEAD = 1, 9
"""Words that keep the random streams apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One sample: frames ``start:stop`` of item ``clip`` of a source (positions), and what random choices fell on it.

    A still picture is an item of one frame.
    """

    number: int
    """Which sample of the run this is, from 0: the key of whatever is random about it later."""
    source: int = 0
    clip: int
    start: int
    stop: int
    background: BackgroundKind
    foreground_left_out: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """What windows are drawn from: an order for each source, and the sources' shares."""

    orders: Sequence[Order]
    mixture: Mixture


class WindowPlan:
    """Windows of ``frames`` frames for every step, each item once in an epoch of its source."""

    def __init__(self, drawing: Drawing, frames: int, batch_size: int, data: DataConfig, seed: int) -> None:
        self.frames, self.batch_size, self.seed = frames, batch_size, seed
        self.drawing = drawing
        self._data = data

    @property
    def left_out(self) -> int:
        """Items that are shorter than a window and never used."""
        return sum(order.left_out for order in self.drawing.orders)

    @property
    def items(self) -> int:
        """Items that windows are drawn from."""
        return sum(order.items for order in self.drawing.orders)

    def step(self, step: int) -> tuple[Window, ...]:
        """The windows of one step, in batch order."""
        rng = np.random.default_rng([self.seed, self.frames, _STEP, step])
        return tuple(self._window(step * self.batch_size + i, rng) for i in range(self.batch_size))

    def instead(self, window: Window, attempt: int) -> Window:
        """The window that takes the place of one that cannot be read: of the same source and number, another item.

        ``attempt`` counts from 0 the replacements of this sample. A function of seed, frames, number and attempt.
        """
        rng = np.random.default_rng([self.seed, self.frames, _INSTEAD, window.number, attempt])
        item = self.drawing.orders[window.source].any(rng)
        return replace(window, **self._placed(window.source, item, rng))

    def _window(self, number: int, rng: np.random.Generator) -> Window:
        source, nth = self.drawing.mixture.place(number)
        placed = self._placed(source, self.drawing.orders[source].at(nth), rng)
        plate, left_out = rng.random(2)
        return Window(
            number=number,
            source=source,
            **placed,
            background=_background(self._data.background, plate),
            foreground_left_out=bool(left_out < self._data.foreground_dropout),
        )

    def _placed(self, source: int, item: int, rng: np.random.Generator) -> dict[str, int]:
        start = int(rng.integers(self.drawing.orders[source].starts(item)))
        return {"clip": item, "start": start, "stop": start + self.frames}


def _background(choice: Literal["reference", "plate", "mixed"], chance: float) -> BackgroundKind:
    if choice == "mixed":
        return "plate" if chance < 0.5 else "reference"
    return choice
