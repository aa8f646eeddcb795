"""Annotators by name, imported only when one is made.

>>> from idol_prep import annotators
>>> pose, mask = annotators.create_pair("mediapipe", "mediapipe")   # one pass of the network serves both
>>> for row in annotators.readiness(): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from idol_prep.annotators.device import Device
from idol_prep.annotators.weights import Weights, hashes, how_to_get
from idol_prep.schema import DataError, Polarity

if TYPE_CHECKING:
    from types import ModuleType

    from idol_prep.annotators.protocol import AnnotatorInfo, DepthAnnotator, Kind, MaskAnnotator, PoseAnnotator


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What an annotator may need to be made."""

    device: Device = field(default_factory=Device)
    weights: Weights = field(default_factory=Weights)
    polarity: Polarity = "distance"
    """Which end of a shipped depth is near; estimators know their own."""
    engine: Any = None
    """The network that pose and mask of one name share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """One annotator and whether it can run here; ``missing`` names what to do, empty where ready."""

    info: AnnotatorInfo
    missing: str

    @property
    def ready(self) -> bool:
        return not self.missing


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Where an annotator lives. Its module is imported to describe it, but no network package is."""

    module: str
    make: Callable[[Any, Setting], object]
    """Builds it from its module and a setting."""
    describe: Callable[[Any], AnnotatorInfo] = lambda module: module.describe()
    missing: Callable[[Any], str] = lambda module: ""
    """What is not installed, and how to install it; empty where nothing is missing."""
    weights: tuple[str, ...] = ()
    """Names of the weights it needs (`weights.PUBLISHED`)."""
    engine: Callable[[Any, bool], object] | None = None
    """Builds the network that annotators of this name share; its argument asks for a mask."""

    def load(self) -> ModuleType:
        from importlib import import_module

        return import_module(self.module)

    def lacks(self, weights: Weights) -> str:
        """Why it cannot run, with what to do; empty where it can."""
        absent = [name for name in self.weights if weights.find(name) is None]
        return self.missing(self.load()) or "; ".join(how_to_get(name) for name in absent)


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


def create_depth(name: str, setting: Setting | None = None) -> DepthAnnotator:
    """A depth annotator."""
    entry = _entry("depth", name)
    return cast("DepthAnnotator", entry.make(entry.load(), setting or Setting()))


def _alone(mask_entry: Entry) -> object:
    return mask_entry.engine(mask_entry.load(), True) if mask_entry.engine else None


def _entry(kind: Kind, name: str) -> Entry:
    entry = ENTRIES.get((kind, name))
    if entry is None:
        raise DataError(f"no {kind} annotator is named {name!r}; choose from {', '.join(names(kind))}")
    return entry


ENTRIES: dict[tuple[Kind, str], Entry] = {
    ("pose", "mediapipe"): Entry(
        module="idol_prep.annotators.mediapipe_pose",
        make=lambda module, given: module.MediapipePose(given.engine),
        missing=lambda module: module.missing(),
        engine=lambda module, mask: module.PersonEngine(segmentation=mask),
    ),
    ("pose", "openpose"): Entry(
        module="idol_prep.annotators.openpose",
        make=lambda module, given: module.OpenPose(given),
        missing=lambda module: module.missing(),
        weights=("openpose",),
    ),
    ("pose", "dwpose"): Entry(
        module="idol_prep.annotators.dwpose",
        make=lambda module, given: module.DWPose(given),
        missing=lambda module: module.missing(),
        weights=("yolox", "dwpose"),
    ),
    ("mask", "mediapipe"): Entry(
        module="idol_prep.annotators.mediapipe_mask",
        make=lambda module, given: module.MediapipeMask(given.engine),
        missing=lambda module: module.missing(),
        engine=lambda module, mask: module.PersonEngine(segmentation=mask),
    ),
    ("mask", "dataset"): Entry(
        module="idol_prep.annotators.dataset",
        make=lambda module, given: module.DatasetMask(),
        describe=lambda module: module.DatasetMask.info,
    ),
    ("mask", "grounded_sam"): Entry(
        module="idol_prep.annotators.grounded_sam",
        make=lambda module, given: module.make(given),
        weights=("grounding-dino", "sam"),
    ),
    ("mask", "grounded_sam2"): Entry(
        module="idol_prep.annotators.grounded_sam2",
        make=lambda module, given: module.make(given),
        weights=("grounding-dino", "sam2"),
    ),
    ("mask", "grounded_sam_original"): Entry(
        module="idol_prep.annotators.grounded_sam_original",
        make=lambda module, given: module.make(given),
        missing=lambda module: module.missing(),
        weights=("groundingdino-original", "bert", "sam-original"),
    ),
    ("depth", "dataset"): Entry(
        module="idol_prep.annotators.dataset",
        make=lambda module, given: module.DatasetDepth(given.polarity),
        describe=lambda module: module.DatasetDepth.info,
    ),
    ("depth", "hdnet"): Entry(
        module="idol_prep.annotators.hdnet",
        make=lambda module, given: module.HDNetDepth(given),
        weights=("hdnet",),
    ),
    ("depth", "midas"): Entry(
        module="idol_prep.annotators.frame_depth",
        make=lambda module, given: module.make_dpt(given),
        describe=lambda module: module.describe_dpt(),
        weights=("dpt",),
    ),
    ("depth", "midas_original"): Entry(
        module="idol_prep.annotators.midas_original",
        make=lambda module, given: module.MidasOriginal(given),
        missing=lambda module: module.missing(),
        weights=("midas-original",),
    ),
    ("depth", "depth_anything"): Entry(
        module="idol_prep.annotators.frame_depth",
        make=lambda module, given: module.make_depth_anything(given),
        describe=lambda module: module.describe_depth_anything(),
        weights=("depth-anything",),
    ),
    ("depth", "landmarks"): Entry(
        module="idol_prep.annotators.landmarks",
        make=lambda module, given: module.LandmarksDepth(),
        missing=lambda module: module.missing(),
    ),
}
"""Every annotator. One more is an entry here, and a file."""
