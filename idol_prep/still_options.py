"""Which still pictures are good enough, and who finds the people in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

from idol_prep.prep_options import LicencePolicy, Retry, check_choice, check_shard
from idol_prep.schema import DataError

NOBODY = "none"
"""No pose annotator: people are counted by the dataset, or by the layers of the mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StillLimits:
    """Beyond these a picture becomes a reject. Sides and areas are of the picture as it goes into the shard.

    ==========================  ==============================================================
    ``min_side``                pixels of the picture's shorter side
    ``max_aspect``              longer over shorter side of the picture
    ``max_people``              people in it, where dataset or annotators count them
    ``min_area``, ``max_area``  part of the picture that is the person
    ``min_person``              pixels of the longer side of the person's box
    ``min_tall``, ``max_tall``  height over width of that box
    ``max_cut``                 sides of the picture at which the person is cut off, 0 to 4
    ==========================  ==============================================================
    """

    min_side: int = 256
    max_aspect: float = 3.0
    max_people: int = 1
    min_area: float = 0.03
    max_area: float = 0.9
    min_person: int = 128
    min_tall: float = 0.4
    max_tall: float = 8.0
    max_cut: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class StillOptions:
    """How pictures are chosen and masked, the same for all of a set. Raises `DataError` for what cannot be."""

    mask: str = "mediapipe"
    pose: str = NOBODY
    """Who counts the people, where the dataset does not."""
    device: str = "auto"
    """Where networks run: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` takes a GPU where torch sees one."""
    weights: Mapping[str, Path] = field(default_factory=dict)
    """The user's own weight files, by the weights' name."""
    licences: LicencePolicy = "any"
    """``commercial`` refuses annotators whose code or weights may not be used so."""
    shard: tuple[int, int] = (1, 1)
    """Which part of the source's groups this run does: number (from 1) and count."""
    retry: Retry = "none"
    """Groups with which rejects are made again: ``failed`` (something went wrong), or ``all``."""
    limits: StillLimits = field(default_factory=StillLimits)

    def __post_init__(self) -> None:
        check_shard(self.shard)
        check_choice("licence policy", self.licences, get_args(LicencePolicy))
        check_choice("retry", self.retry, get_args(Retry))
        if self.limits.min_side < 16:
            raise DataError(f"pictures of {self.limits.min_side} pixels show nobody; min_side is at least 16")


def narrowed(limits: StillLimits) -> dict[str, float]:
    """The limits that differ from the standard ones, by name."""
    standard = asdict(StillLimits())
    return {name: value for name, value in asdict(limits).items() if value != standard[name]}


def why_reject(scores: Mapping[str, float], limits: StillLimits) -> str | None:
    """The first limit that a picture's scores break, in words; None where it is good enough."""
    for score, low, high, kind in _RULES:
        value = scores.get(score)
        lowest = getattr(limits, low) if low else None
        highest = getattr(limits, high) if high else None
        if value is None:
            continue
        if lowest is not None and value < lowest:
            return f"{kind}: {score} {value:g}, at least {lowest:g} is asked for"
        if highest is not None and value > highest:
            return f"{kind}: {score} {value:g}, at most {highest:g} is allowed"
    return None


_RULES = (
    ("side", "min_side", "", "too small"),
    ("aspect", "", "max_aspect", "odd shape"),
    ("people", "", "max_people", "people"),
    ("area", "min_area", "max_area", "person's size"),
    ("person", "min_person", "", "person's size"),
    ("tall", "min_tall", "max_tall", "person's shape"),
    ("cut", "", "max_cut", "cut off"),
)
"""Score, its lower and its upper limit, and the kind of reject, in the order in which they are looked at."""
