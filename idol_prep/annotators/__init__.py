"""Annotators by name, imported only when one is made.

>>> from idol_prep import annotators
>>> pose, mask = annotators.create_pair("mediapipe", "mediapipe")   # one pass of the network serves both
>>> for row in annotators.readiness(): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from idol_prep.annotators._entries import ENTRIES, Entry
from idol_prep.annotators.device import Device
from idol_prep.annotators.weights import Weights, hashes
from idol_prep.schema import DataError, Polarity

if TYPE_CHECKING:
    from idol_prep.annotators.protocol import (
        AnnotatorInfo,
        DensePoseAnnotator,
        DepthAnnotator,
        Kind,
        MaskAnnotator,
        PoseAnnotator,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What an annotator may need to be made."""

    device: Device = field(default_factory=Device)
    weights: Weights = field(default_factory=Weights)
    polarity: Polarity = "distance"
    """Which end of a shipped depth is near; estimators know their own."""
    engine: Any = None
    """The network that pose and mask of one name share."""
    densepose: DensePoseAnnotator | None = None
    """Makes the DensePose that a depth annotator needs, where the source ships none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """One annotator and whether it can run here; ``missing`` names what to do, empty where ready."""

    info: AnnotatorInfo
    missing: str

    @property
    def ready(self) -> bool:
        return not self.missing


def names(kind: Kind) -> tuple[str, ...]:
    """The annotators of one kind."""
    return tuple(name for entry_kind, name in ENTRIES if entry_kind == kind)


def readiness(weights: Weights | None = None) -> list[Readiness]:
    """Every annotator with its licence and whether it is ready; imports no network."""
    found = weights or Weights()
    return [Readiness(info=entry.describe(entry.load()), missing=entry.lacks(found)) for entry in ENTRIES.values()]


def describe(kind: Kind, name: str, weights: Weights | None = None) -> AnnotatorInfo:
    """Who it is, with the SHA-256 of its weights where they are here."""
    entry = _entry(kind, name)
    info = entry.describe(entry.load())
    paths = [path for one in entry.weights if (path := (weights or Weights()).find(one)) is not None]
    digests = {file: digest for path in paths for file, digest in hashes(path).items()}
    return replace(info, weights={**info.weights, **digests})


def densepose_for(depth: str, ships: Callable[[str], bool] = lambda track: False) -> str:
    """The annotator that makes DensePose for this depth annotator; empty where it needs none, or the source ships it.

    ``ships`` tells whether the source brings a track.
    """
    return "densepose" if _entry("depth", depth).densepose and not ships("densepose") else ""


def check_weights(wanted: Iterable[tuple[Kind, str]], weights: Weights) -> None:
    """Raise one `DataError` that names all weights which these annotators lack, with what to do about each."""
    lacks = [lack for kind, name in wanted if (lack := _entry(kind, name).lacks_weights(weights))]
    if lacks:
        raise DataError("; ".join(dict.fromkeys(lacks)))


def check_licences(infos: Iterable[AnnotatorInfo], policy: str) -> None:
    """Raise `DataError` for an annotator that the policy ``commercial`` does not allow."""
    for info in infos:
        if policy == "commercial" and not info.commercial:
            raise DataError(
                f"{info.kind} annotator {info.name!r} is not for commercial use ({info.licence}); "
                "choose another, or --license-policy any"
            )


def create_pair(pose: str, mask: str, setting: Setting | None = None) -> tuple[PoseAnnotator, MaskAnnotator]:
    """A pose and a mask annotator; of one name they share one network, which then sees each frame once."""
    given = setting or Setting()
    pose_entry, mask_entry = _entry("pose", pose), _entry("mask", mask)
    engine = pose_entry.engine(pose_entry.load(), mask == pose) if pose_entry.engine else None
    mask_engine = engine if mask == pose else _alone(mask_entry)
    made_pose = pose_entry.make(pose_entry.load(), replace(given, engine=engine))
    made_mask = mask_entry.make(mask_entry.load(), replace(given, engine=mask_engine))
    return cast("PoseAnnotator", made_pose), cast("MaskAnnotator", made_mask)


def create_mask(name: str, setting: Setting | None = None) -> MaskAnnotator:
    """A mask annotator on its own."""
    entry = _entry("mask", name)
    return cast("MaskAnnotator", entry.make(entry.load(), replace(setting or Setting(), engine=_alone(entry))))


def create_depth(name: str, setting: Setting | None = None, densepose: str = "") -> DepthAnnotator:
    """A depth annotator, with the annotator ``densepose`` where one is named (`densepose_for`)."""
    entry, given = _entry("depth", name), setting or Setting()
    if densepose:
        given = replace(given, densepose=create_densepose(densepose, given))
    return cast("DepthAnnotator", entry.make(entry.load(), given))


def create_densepose(name: str, setting: Setting | None = None) -> DensePoseAnnotator:
    """A DensePose annotator."""
    entry = _entry("densepose", name)
    return cast("DensePoseAnnotator", entry.make(entry.load(), setting or Setting()))


def _alone(mask_entry: Entry) -> object:
    return mask_entry.engine(mask_entry.load(), True) if mask_entry.engine else None


def _entry(kind: Kind, name: str) -> Entry:
    entry = ENTRIES.get((kind, name))
    if entry is None:
        raise DataError(f"no {kind} annotator is named {name!r}; choose from {', '.join(names(kind))}")
    return entry
