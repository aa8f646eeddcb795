"""How clips are made, what is told on the way, and what is told at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from idol_prep.crop import MODES, CropMode
from idol_prep.pose import POLICIES, SubjectPolicy
from idol_prep.quality import QualityLimits
from idol_prep.schema import DataError, Polarity

CutMode = Literal["split", "keep"]
LicencePolicy = Literal["any", "commercial"]
Retry = Literal["none", "failed", "all"]

BYTES_A_PIXEL = 8
"""Of a finished clip in memory: three of picture, one of mask, four of depth."""
CLIP_BYTES = 4 << 30
"""The largest finished clip that is held in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepOptions:
    """How clips are made; the same for every clip of a dataset. Raises `DataError` for what cannot be."""

    size: int = 256
    """Side of the square crops, in pixels (the shorter side where ``crop`` is ``none``)."""
    crop: CropMode = "person"
    pose: str = "mediapipe"
    mask: str = "mediapipe"
    depth: str = "landmarks"
    densepose: str = ""
    """Who makes the DensePose that ``depth`` needs, where the source ships none; preparation settles it."""
    depth_polarity: Polarity = "distance"
    """Which end of a shipped depth is near; estimators know their own."""
    clip_frames: int = 1024
    """Longest clip; a longer video becomes several."""
    shard: tuple[int, int] = (1, 1)
    """Which part of the source's clips this run does: number (from 1) and count."""
    subject: SubjectPolicy = "largest"
    """Who is the main person, where an annotator finds several."""
    smooth: float = 0.0
    """Sigma in frames of the smoothing of joints over time, weighted by their scores; 0 leaves them as found."""
    cuts: CutMode = "split"
    """Whether a video becomes several clips at its scene cuts; ``keep`` only counts them."""
    device: str = "auto"
    """Where networks run: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` takes a GPU where torch sees one."""
    weights: Mapping[str, Path] = field(default_factory=dict)
    """The user's own weight files, by the weights' name."""
    licences: LicencePolicy = "any"
    """``commercial`` refuses annotators whose code or weights may not be used so."""
    retry: Retry = "none"
    """Which rejects of earlier runs are tried again: ``failed`` (something went wrong), or ``all``."""
    limits: QualityLimits = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 2048 or self.size % 8:
            raise DataError(f"size {self.size} is not usable; take a multiple of 8 from 16 to 2048, such as 256")
        if self.crop not in MODES:
            raise DataError(f"unknown crop {self.crop!r}; choose one of {', '.join(MODES)}")
        if self.clip_frames < self.limits.min_frames:
            raise DataError(f"clips of {self.clip_frames} frames are too short; at least {self.limits.min_frames}")
        fit = CLIP_BYTES // (self.size**2 * BYTES_A_PIXEL)
        if self.clip_frames > fit:
            raise DataError(f"clips of {self.clip_frames} frames at size {self.size} are held in memory; at most {fit}")
        check_shard(self.shard)
        if not (0 <= self.smooth < 100):
            raise DataError(f"smoothing over {self.smooth:g} frames is not usable; 0 for none, 1 or 2 for little")
        _check_choices(self)
        if self.depth_polarity not in ("distance", "inverse"):
            raise DataError(f"unknown depth polarity {self.depth_polarity!r}; distance (larger is farther) or inverse")


def check_shard(shard: tuple[int, int]) -> None:
    """Raise `DataError` for a part that is none."""
    if not 1 <= shard[0] <= shard[1]:
        raise DataError(f"there is no shard {shard[0]}/{shard[1]}; shards count from 1, as in 1/4")


def _check_choices(options: PrepOptions) -> None:
    named = (
        ("subject", options.subject, POLICIES),
        ("cuts", options.cuts, get_args(CutMode)),
        ("licence policy", options.licences, get_args(LicencePolicy)),
        ("retry", options.retry, get_args(Retry)),
    )
    for name, value, choices in named:
        check_choice(name, value, choices)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `DataError` for a word that is none of the choices."""
    if value not in choices:
        raise DataError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where the work stands, told after each chunk of frames."""

    clip: str
    clips_done: int
    clips: int
    frames_done: int
    """Frames that went through the first look in this run."""
    rejected: int = 0
    """Clips left out in this run so far."""


Listener = Callable[[Progress], None]


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was done, of one video or of many. Clips and frames are those of this run, not of what was there before."""

    clips: int = 0
    frames: int = 0
    found_frames: int = 0
    """Frames with a person in them."""
    kept_before: int = 0
    """Clips that were finished before."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Id and why it was left out; an id ending in ``-rest`` is the lost end of a clip that was kept."""
    rejected_before: int = 0
    """Clips left out by an earlier run, and not tried again."""

    def add(self, other: Tally) -> None:
        """Take in another's counts."""
        self.clips += other.clips
        self.frames += other.frames
        self.found_frames += other.found_frames
        self.kept_before += other.kept_before
        self.rejected |= other.rejected
        self.rejected_before += other.rejected_before

    def reasons(self) -> dict[str, int]:
        """Rejects by kind, the words before the reason's colon."""
        kinds = [reason.partition(":")[0] for reason in self.rejected.values()]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


@dataclass(kw_only=True, slots=True)
class Summary(Tally):
    """What a run did, where, and how long it took."""

    out: Path
    approximate: tuple[str, ...] = ()
    """Tracks that only stand in for the real quantity."""
    seconds: float = 0.0
