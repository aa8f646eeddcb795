"""Annotators of `idol prep` on generated frames: depth after the fact, as the paper does for DisCo, and found poses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from idol_eval.baselines import Candidate, Kind
from idol_eval.bench import SampleCandidate
from idol_eval.samples import DepthRule, EvalClip, SampleError
from idol_prep import annotators
from idol_prep.annotators.device import ON_CPU
from idol_prep.annotators.protocol import Batch
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DepthRange

if TYPE_CHECKING:
    from idol_prep.annotators.protocol import AnnotatorInfo, DepthAnnotator, MaskAnnotator, PoseAnnotator
    from idol_prep.annotators.protocol import Kind as Maker

_STRAY = (0.5, 99.5)
"""Percentiles that become a clip's range, as in preparation of estimated depth."""


class DepthInference:
    """A depth annotator, with the pose and mask annotators that one of people's depth asks for."""

    def __init__(self, name: str, weights: Mapping[str, Path] | None = None, person: str = "mediapipe") -> None:
        self.name = name
        own, makers = Weights(weights or {}), makers_of(name)
        annotators.check_weights(makers.items(), own)
        self._infos = [annotators.describe(kind, maker, own) for kind, maker in makers.items()]
        setting = annotators.Setting(weights=own)
        self._depth: DepthAnnotator = annotators.create_depth(name, setting, makers.get("densepose", ""))
        needs_person = self._depth.scope == "person"
        self._person: tuple[PoseAnnotator, MaskAnnotator] | None = (
            annotators.create_pair(person, person) if needs_person else None
        )
        self._lock = Lock()

    @property
    def note(self) -> str:
        """What a row says."""
        made, note = ", from body surfaces by ".join(_named(info) for info in self._infos), self._infos[0].note
        return f"depth estimated from the frames by {made}" + (f": {note}" if note else "")

    def __call__(self, clip: EvalClip, rule: DepthRule) -> EvalClip:
        """``clip`` with estimated depth, laid into ``rule`` by the clip's own range."""
        if clip.video is None:
            raise SampleError(f"clip {clip.id}: has no frames to estimate depth from")
        with self._lock:
            batch = Batch(frames=clip.video)
            if self._person is not None:
                batch = _with_person(batch, self._person)
            self._depth.reset()
            raw = np.concatenate([self._depth.depth(part) for part in _parts(batch)])
        given = self._range(raw, batch.mask, clip.id)
        depth = given.normalise(raw, batch.mask, person=rule.person, background=rule.background)
        own = replace(rule, polarity=given.polarity, scope=given.scope)
        return replace(clip, depth=depth, rule=own)

    def _range(self, raw: NDArray[np.float32], mask: NDArray[np.uint8] | None, id: str) -> DepthRange:
        valid = np.isfinite(raw) if mask is None else np.isfinite(raw) & (mask > 0)
        if not valid.any():
            raise SampleError(f"clip {id}: {self.name} finds no depth in any frame; leave the clip out")
        low, high = np.percentile(raw[valid], _STRAY)
        return DepthRange(low=float(low), high=float(high), polarity=self._depth.polarity, scope=self._depth.scope)


class PoseInference:
    """A pose annotator on whole clips."""

    def __init__(self, name: str) -> None:
        self.name = name
        mask = name if name in annotators.names("mask") else annotators.names("mask")[0]
        self._pose = annotators.create_pair(name, mask)[0]
        self._lock = Lock()

    def __call__(self, clip: EvalClip) -> EvalClip:
        """``clip`` with the joints that are found in its frames."""
        if clip.video is None:
            return clip
        with self._lock:
            self._pose.reset()
            return replace(clip, keypoints=self._pose.pose(Batch(frames=clip.video)).keypoints)


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """A candidate whose answers go through annotators first. ``rule`` lays estimated depth out.

    ``beside`` says that the inner candidate, which has a depth of its own, is a row too.
    """

    inner: Candidate
    name: str
    depth: DepthInference | None = None
    pose: PoseInference | None = None
    rule: DepthRule = DepthRule()  # noqa: RUF009 - immutable
    beside: bool = False

    @property
    def kind(self) -> Kind:
        return self.inner.kind

    @property
    def compares_features(self) -> bool:
        return self.inner.compares_features

    @property
    def samples(self) -> Any:
        """The set behind it, where there is one."""
        return getattr(self.inner, "samples", None)

    @property
    def repeat_of(self) -> str | None:
        """Of the rows behind it; estimated depth has means of its own."""
        of = getattr(self.inner, "repeat_of", None)
        return of if of is None or self.depth is None else f"{of}, depth by {self.depth.name}"

    @property
    def background(self) -> str:
        """Which background the samples behind it were given."""
        return getattr(self.inner, "background", "")

    @property
    def recipe(self) -> str | None:
        """The recipe as whose row of the paper's tables it counts: that of the inner one, where that is no row too."""
        return "" if self.beside else getattr(self.inner, "recipe", None)

    @property
    def notes(self) -> list[str]:
        said = [*getattr(self.inner, "notes", ())]
        said += [] if self.depth is None else [self.depth.note]
        return said + ([] if self.pose is None else [f"poses found again by {self.pose.name}"])

    def answer(self, truth: EvalClip) -> EvalClip:
        """The inner answer, with what annotators find in it."""
        clip = self.inner.answer(truth)
        clip = clip if self.depth is None else self.depth(clip, self.rule)
        return clip if self.pose is None else self.pose(clip)


def with_inferred_depth(
    rows: Iterable[SampleCandidate],
    infer: DepthInference | None,
    rule: DepthRule,
    has_depth: Callable[[SampleCandidate], bool],
) -> list[Candidate]:
    """Estimated depth in a row's place where it has none of its own (the paper's row for DisCo), else beside it."""
    if infer is None:
        return list(rows)
    found: list[Candidate] = []
    for row in rows:
        beside = has_depth(row)
        found += [row] if beside else []
        title = f"{row.name}, depth by {infer.name}"
        found.append(Annotated(inner=row, name=title, depth=infer, rule=rule, beside=beside))
    return found


def with_poses(rows: Iterable[Candidate], name: str | None) -> list[Candidate]:
    """Every row that shows frames of its own with its poses found again, by the annotator ``name``; as is without."""
    if name is None:
        return list(rows)
    finder = PoseInference(name)
    return [row if row.kind == "baseline" else Annotated(inner=row, name=row.name, pose=finder) for row in rows]


def makers_of(depth: str) -> "dict[Maker, str]":
    """The annotators behind estimated depth, by kind: its own, and that of DensePose where it needs one."""
    densepose = annotators.densepose_for(depth)
    makers: dict[Maker, str] = {"depth": depth}
    if densepose:
        makers["densepose"] = densepose
    return makers


def _named(info: "AnnotatorInfo") -> str:
    """An annotator with the beginnings of its weights' hashes."""
    weights = ", ".join(f"{file} {sha256[:12]}" for file, sha256 in info.weights.items())
    return f"{info.name} {info.version}".rstrip() + (f" ({weights})" if weights else "")


def _parts(batch: Batch) -> Iterator[Batch]:
    """Some frames at a time, as in preparation: a whole clip's features need not fit into memory."""
    for start in range(0, len(batch.frames), ON_CPU):
        yield batch.part(start, start + ON_CPU)


def _with_person(batch: Batch, person: "tuple[PoseAnnotator, MaskAnnotator]") -> Batch:
    pose, mask = person
    pose.reset()
    found = pose.pose(batch)
    return Batch(frames=batch.frames, pose=found, mask=(mask.mask(batch) > 127).astype(np.uint8))
