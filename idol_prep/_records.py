"""What is known of a clip (`ClipRecord`) and of its depth (`DepthRange`, `DepthTrack`), as plain data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError

FORMAT_VERSION = 1
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Polarity = Literal["distance", "inverse"]
"""``distance``: larger is farther (HDNet, synthetic). ``inverse``: larger is nearer (MiDaS, Depth Anything V2)."""
Scope = Literal["person", "frame"]
"""Where depth means something: inside the mask, or everywhere."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,199}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthRange:
    """How raw depth values are to be read: the end that is near, where they hold, and the clip's normalising range."""

    low: float
    high: float
    polarity: Polarity
    scope: Scope

    def __post_init__(self) -> None:
        _one_of("depth polarity", self.polarity, get_args(Polarity))
        _one_of("depth scope", self.scope, get_args(Scope))
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise DataError(f"depth range {self.low} to {self.high} is none; low and high must be finite, low <= high")

    def normalise(
        self,
        depth: NDArray[np.float32],
        mask: NDArray | None,
        *,
        person: tuple[float, float] = (0.0, 0.75),
        background: float = 1.0,
    ) -> NDArray[np.float32]:
        """Depth [L,H,W] in raw units as float32 [L,H,W] in [0,1]; the polarity stays as it is.

        Scope ``person``: [low, high] goes to the range ``person`` where mask > 0 and depth is finite, all else is
        ``background``. With the map "hot", [0, 0.75] is the part without blue: the white background stays separable.
        Scope ``frame``: [low, high] goes to [0, 1] everywhere, ``background`` only where there is no value.
        """
        span = (self.high - self.low) or 1.0
        values = np.clip((np.asarray(depth, np.float32) - np.float32(self.low)) / np.float32(span), 0, 1)
        valid = np.isfinite(values)
        if self.scope == "person":
            if mask is None:
                raise DataError("depth of scope 'person' needs the person's mask to be normalised")
            valid &= np.asarray(mask) > 0
            values = np.float32(person[0]) + values * np.float32(person[1] - person[0])
        return np.where(valid, values, np.float32(background)).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthTrack:
    """Depth for a clip about to be written: ``values`` float [L,H,W] in raw units, NaN or infinite where there is none.

    The clip's normalising range is ``bounds`` if given, else these ``percentiles`` of the valid values (inside the mask
    for scope ``person``): (0, 100) for exact depth, (0.5, 99.5) for estimates with stray values.
    """

    values: NDArray
    polarity: Polarity
    scope: Scope
    percentiles: tuple[float, float] = (0.0, 100.0)
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRecord:
    """One row of the manifest. A writer fills in frames, height, width, depth, keypoint_format, files and sha256."""

    id: str
    split: Split
    source: str
    """Where it comes from, in words that another person can follow (a file relative to the source's root, a seed)."""
    fps: float
    start_frame: int = 0
    """Number of the clip's first frame in its source."""
    next_frame: int | None = None
    """Where the source goes on behind this clip; None where it ends."""
    lost: str = ""
    """Why what lies behind this clip could not be read; empty where nothing was lost."""
    frames: int = 0
    height: int = 0
    width: int = 0
    depth: DepthRange | None = None
    keypoint_format: str = "openpose18"
    approximate: tuple[str, ...] = ()
    """Tracks (mask, depth, keypoints, background) that only stand in for the real quantity."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Quality figures by name."""
    annotators: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Who made each track: name, version, weights, licence."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file of the clip."""
    sha256: str = ""
    """SHA-256 over ``files``."""

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise DataError(f"clip id {self.id!r} is no file name; use letters, digits and . _ + = -")
        _one_of(f"clip {self.id}: split", self.split, SPLITS)
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise DataError(f"clip {self.id}: fps {self.fps} is no frame rate")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types. By hand, since `dataclasses.asdict` copies each leaf and manifests are long."""
        plain = {name: getattr(self, name) for name in _NAMES}
        plain["depth"] = dataclasses.asdict(self.depth) if self.depth else None
        plain["approximate"] = list(self.approximate)
        plain["scores"], plain["files"] = dict(self.scores), dict(self.files)
        plain["annotators"] = {track: dict(info) for track, info in self.annotators.items()}
        return plain

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ClipRecord:
        """The inverse of `to_dict`; unknown keys are left aside, a missing one raises `DataError`."""
        kept = {key: value for key, value in values.items() if key in _NAMES}
        try:
            kept["approximate"] = tuple(kept.get("approximate", ()))
            kept["depth"] = DepthRange(**kept["depth"]) if kept.get("depth") else None
            return ClipRecord(**kept)
        except TypeError as error:
            raise DataError(
                f"clip {values.get('id', '?')}: its record is incomplete ({error}); prepare it again"
            ) from error


_NAMES = tuple(field.name for field in dataclasses.fields(ClipRecord))


def _one_of(what: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(f"{what} {value!r} is unknown; choose one of {', '.join(choices)}")
