"""Every annotator: where it lives, how it is made, what it needs. One more is an entry here, and a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idol_prep.annotators.weights import Weights, how_to_get

if TYPE_CHECKING:
    from types import ModuleType

    from idol_prep.annotators import Setting
    from idol_prep.annotators.protocol import AnnotatorInfo, Kind


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
    unfit: Callable[[Any, Weights], str] = lambda module, weights: ""
    """Why weights that are here cannot be used; empty where they can."""
    densepose: bool = False
    """Whether a depth annotator needs the frames' DensePose."""
    engine: Callable[[Any, bool], object] | None = None
    """Builds the network that annotators of this name share; its argument asks for a mask."""

    def load(self) -> ModuleType:
        from importlib import import_module

        return import_module(self.module)

    def lacks(self, weights: Weights) -> str:
        """Why it cannot run, with what to do; empty where it can."""
        return self.missing(self.load()) or self.lacks_weights(weights)

    def lacks_weights(self, weights: Weights) -> str:
        """Which weights are not here, or cannot be used, with what to do; empty where all are there."""
        absent = [name for name in self.weights if weights.find(name) is None]
        return "; ".join(how_to_get(name) for name in absent) or self.unfit(self.load(), weights)


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
        densepose=True,
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
    ("densepose", "densepose"): Entry(
        module="idol_prep.annotators.densepose",
        make=lambda module, given: module.DensePose(given),
        weights=("densepose",),
        unfit=lambda module, weights: module.unfit(weights),
    ),
}
"""By kind and name."""
