"""What a report shows, as data; `cli.report.page` decides how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cli._output import Cell

Group = Literal["given", "generated", "truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One moving or still picture of a clip: uint8 [L, H, W, 3|4]; a still has L = 1."""

    name: str
    group: Group
    frames: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or not len(self.frames):
            raise ValueError(f"track {self.name}: needs uint8 [L, H, W, C] with at least one frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPanel:
    """One clip: its tracks side by side, in step, and what was measured on it."""

    id: str
    fps: float
    tracks: Sequence[Track]
    scores: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that the reader should see first, and what it stands against."""

    name: str
    value: str
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table with a sentence on how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole page. ``labels`` are the sentences that keep it honest; ``viewers`` are ready HTML fragments."""

    title: str
    lead: str
    labels: Sequence[str]
    figures: Sequence[Figure] = ()
    viewers: Sequence[str] = ()
    clips: Sequence[ClipPanel] = ()
    tables: Sequence[ReportTable] = ()
    commands: Sequence[str] = ()
