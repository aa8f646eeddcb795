"""One line of the table: numbers, with what made them."""

from dataclasses import dataclass, field
from typing import Any

from idol_eval.baselines import Kind
from idol_eval.intervals import Extrapolation, Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Values by metric key (`idol_eval.catalogue`), with what made them.

    ``intervals`` are of 95 % over videos: of means for the mean over endless videos, of Frechet distances for what as
    many other videos give on average, **not** for the distance of endless videos (`idol_eval.intervals`). ``spreads``
    are standard deviations (over subsets of a kernel distance, or over repeated generations), ``limits`` Frechet
    distances extrapolated to endless samples.
    """

    name: str
    kind: Kind
    values: dict[str, float | None]
    counts: dict[str, int] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    spreads: dict[str, float] = field(default_factory=dict)
    limits: dict[str, Extrapolation] = field(default_factory=dict)
    extractors: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    per_clip: tuple[dict[str, Any], ...] = ()
    truth: str = ""
    """Hash of the true clips' pixels, depth and masks as they were measured."""
    lossy: bool = False
    """Whether its frames went through a lossy codec."""
    statistics: dict[str, Any] = field(default_factory=dict)
    """Root, moments, and how intervals were drawn."""
    background: str = ""
    """Which background its samples were given: ``reference``, ``plate``; empty where nothing is known."""
    recipe: str | None = None
    """The recipe as whose row of the paper's tables it counts: none where empty, the one of its name where None."""
