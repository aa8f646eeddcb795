"""Annotators by name, imported only when one is made.

>>> from idol_prep import annotators
>>> pose, mask = annotators.create_pair("mediapipe", "mediapipe")   # one pass of the network serves both
>>> for row in annotators.readiness(): ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from idol_prep.annotators.protocol import AnnotatorInfo, DepthAnnotator, Kind, MaskAnnotator, PoseAnnotator
    from idol_prep.schema import Polarity


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """One annotator and whether it can run here; ``missing`` names what to do, empty where ready."""

    info: AnnotatorInfo
    missing: str

    @property
    def ready(self) -> bool:
        return not self.missing


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """Where an annotator lives: ``describe`` only looks, ``make`` builds it.

    ``make`` takes one thing: pose and mask the network they share (None where there is none), depth its polarity.
    """

    describe: Callable[[], AnnotatorInfo]
    make: Callable[[Any], object]
    missing: Callable[[], str] = str
    """Why it cannot run; `str` itself, called without arguments, says nothing is missing."""
    engine: Callable[[bool], object] | None = None
    """Builds the network that annotators of this name share; its argument asks for a mask."""


def names(kind: Kind) -> tuple[str, ...]:
    """The annotators of one kind."""
    return tuple(name for entry_kind, name in _ENTRIES if entry_kind == kind)


def readiness() -> list[Readiness]:
    """Every annotator with its licence, weights and whether it is ready; imports no network."""
    return [Readiness(info=entry.describe(), missing=entry.missing()) for entry in _ENTRIES.values()]


def create_pair(pose: str, mask: str) -> tuple[PoseAnnotator, MaskAnnotator]:
    """A pose and a mask annotator; of one name they share one network, which then sees each frame once."""
    pose_entry, mask_entry = _entry("pose", pose), _entry("mask", mask)
    engine = pose_entry.engine(mask == pose) if pose_entry.engine else None
    mask_engine = engine if mask == pose else mask_entry.engine(True) if mask_entry.engine else None
    return cast("PoseAnnotator", pose_entry.make(engine)), cast("MaskAnnotator", mask_entry.make(mask_engine))


def create_depth(name: str, *, polarity: Polarity = "distance") -> DepthAnnotator:
    """A depth annotator. ``polarity`` tells which end of a shipped depth is near; estimators know their own."""
    entry = _entry("depth", name)
    return cast("DepthAnnotator", entry.make(polarity))


def _entry(kind: Kind, name: str) -> _Entry:
    entry = _ENTRIES.get((kind, name))
    if entry is None:
        from idol_prep.schema import DataError

        raise DataError(f"no {kind} annotator is named {name!r}; choose from {', '.join(names(kind))}")
    return entry


def _mediapipe(function: str, module: str = "mediapipe_pose") -> Callable[..., Any]:
    return _lazy(f"idol_prep.annotators.{module}", function)


def _lazy(module: str, function: str) -> Callable[..., Any]:
    """A function that is imported when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        from importlib import import_module

        return getattr(import_module(module), function)(*args, **kwargs)

    return call


def _person_engine(segmentation: bool) -> object:
    return _mediapipe("PersonEngine")(segmentation=segmentation)


def _alone(module: str, name: str) -> Callable[[Any], object]:
    """Make an annotator that has no network to share and nothing to choose."""
    return lambda _: _lazy(f"idol_prep.annotators.{module}", name)()


_ENTRIES: dict[tuple[Kind, str], _Entry] = {
    ("pose", "mediapipe"): _Entry(
        describe=_mediapipe("describe"),
        make=_mediapipe("MediapipePose"),
        missing=_mediapipe("missing"),
        engine=_person_engine,
    ),
    ("mask", "mediapipe"): _Entry(
        describe=_mediapipe("describe", "mediapipe_mask"),
        make=_mediapipe("MediapipeMask", "mediapipe_mask"),
        missing=_mediapipe("missing"),
        engine=_person_engine,
    ),
    ("mask", "dataset"): _Entry(
        describe=_lazy("idol_prep.annotators.dataset", "describe_mask"), make=_alone("dataset", "DatasetMask")
    ),
    ("depth", "dataset"): _Entry(
        describe=_lazy("idol_prep.annotators.dataset", "describe_depth"),
        make=_lazy("idol_prep.annotators.dataset", "DatasetDepth"),
    ),
    ("depth", "landmarks"): _Entry(
        describe=_lazy("idol_prep.annotators.landmarks", "describe"),
        make=_alone("landmarks", "LandmarksDepth"),
        missing=_mediapipe("missing"),
    ),
}
