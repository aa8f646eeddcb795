"""Scoring: clips go by once, every candidate answers each, numbers add up. Memory does not grow with the clips."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from idol_eval import features, geometry
from idol_eval.baselines import Candidate, Kind
from idol_eval.catalogue import FAMILIES, FEATURE_FAMILIES
from idol_eval.features import Extractor, Feed
from idol_eval.frechet import frechet_between
from idol_eval.protocol import EXTRACTOR_OF, IDOL_8, Protocol
from idol_eval.samples import ClipSet, EvalClip, Pairing, SampleError
from idol_eval.scores import clip_scores
from idol_eval.statistics import Statistics
from idol_eval.temporal import change_ratio


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """What to measure and with what. ``weights`` names a local file per family (fid, fvd, fid_fvd)."""

    protocol: Protocol = IDOL_8
    families: tuple[str, ...] = FAMILIES
    weights: Mapping[str, Path] = field(default_factory=dict)
    weights_seed: int = 0
    device: str = "cpu"

    @property
    def feature_families(self) -> tuple[str, ...]:
        """The chosen families that need an extractor."""
        return tuple(family for family in FEATURE_FAMILIES if family in self.families)

    def extractors(self) -> dict[str, Extractor]:
        """Ready extractors by family. Raises as `idol_eval.features.load`."""
        return {
            family: features.load(
                EXTRACTOR_OF[family], self.weights.get(family), seed=self.weights_seed, device=self.device
            )
            for family in self.feature_families
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table: values by metric key (`idol_eval.catalogue`), with what made them."""

    name: str
    kind: Kind
    values: dict[str, float | None]
    counts: dict[str, int] = field(default_factory=dict)
    extractors: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    per_clip: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """``done`` of ``total`` clips; ``what`` is the clip's id."""

    done: int
    total: int
    what: str


Tell = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleCandidate:
    """A set of samples as a candidate. ``ids`` maps reference ids to sample ids."""

    name: str
    samples: ClipSet
    ids: Mapping[str, str]
    frames: int | None = None
    kind: Kind = "measured"
    compares_features: bool = True

    @classmethod
    def of(cls, name: str, samples: ClipSet, pairing: Pairing, frames: int | None = None) -> "SampleCandidate":
        """For the pairs that `idol_eval.samples.pair` found, or the first ``frames`` frames of each."""
        return cls(name=name, samples=samples, ids={true: own for own, true in pairing.pairs}, frames=frames)

    def answer(self, truth: EvalClip) -> EvalClip:
        """The sample of this clip."""
        return self.samples.read(self.ids[truth.id], self.frames)


def score(
    candidates: Sequence[Candidate],
    reference: ClipSet,
    ids: Sequence[str],
    config: BenchConfig = BenchConfig(),
    tell: Tell = lambda progress: None,
) -> list[Row]:
    """Score ``candidates`` on the reference clips ``ids``, all in one pass; one row each, in their order.

    Raises:
        SampleError: a pair that does not fit, or a clip too short for a chosen metric; it names the clip and the fix.
    """
    if not ids:
        raise SampleError(f"{reference.path}: no clips to score; choose another split, or give samples of its clips")
    extractors = config.extractors()
    truth_features = _Features(extractors, config.protocol)
    rows = [_RowInProgress(candidate, extractors, config) for candidate in candidates]
    for done, truth in enumerate(truths(reference, ids, config.protocol), start=1):
        truth_features.add(truth)
        for row in rows:
            row.add(truth)
        tell(Progress(done=done, total=len(ids), what=truth.id))
    truth_features.flush()
    return [row.finish(truth_features) for row in rows]


def truths(reference: ClipSet, ids: Sequence[str], protocol: Protocol) -> Iterator[EvalClip]:
    """The reference clips as the protocol sees them."""
    fit = geometry.fitting(protocol.size)
    for id in ids:
        yield fit(reference.read(id, protocol.frames))


class _Features:
    """Moments of every extractor's features over the clips of one side."""

    def __init__(self, extractors: Mapping[str, Extractor], protocol: Protocol) -> None:
        self._extractors, self._protocol = extractors, protocol
        self.statistics = {family: Statistics(one.spec.dimensions) for family, one in extractors.items()}
        self._feeds = {family: Feed(one, self.statistics[family].update) for family, one in extractors.items()}

    def add(self, clip: EvalClip) -> None:
        """Raises SampleError for a clip shorter than a snippet."""
        if clip.video is None:
            return
        for family, extractor in self._extractors.items():
            if extractor.spec.takes == "frames":
                inputs = extractor.frame_inputs(clip.video)
            else:
                inputs = extractor.snippet_inputs(clip.video, self._starts(clip), self._protocol.snippet)
            self._feeds[family].add(inputs)

    def flush(self) -> None:
        """All clips were added."""
        for feed in self._feeds.values():
            feed.flush()

    def _starts(self, clip: EvalClip) -> list[int]:
        frames = clip.shape[0]
        starts = self._protocol.starts(frames)
        if not starts:
            raise SampleError(
                f"clip {clip.id}: {frames} frames are too few for snippets of {self._protocol.snippet}; "
                "leave the clip out, or leave the metrics out with --metrics all,-fvd,-fid_fvd"
            )
        return starts


class _RowInProgress:
    def __init__(self, candidate: Candidate, extractors: Mapping[str, Extractor], config: BenchConfig) -> None:
        self._candidate, self._config = candidate, config
        self._features = _Features(extractors if candidate.compares_features else {}, config.protocol)
        self._extractors = extractors
        self._per_clip: list[dict[str, Any]] = []
        self._reasons: dict[tuple[str, str], list[str]] = {}
        self._frames = 0

    def add(self, truth: EvalClip) -> None:
        pred = self._candidate.answer(truth)
        scores, reasons = clip_scores(pred, truth, self._config.families)
        self._features.add(pred)
        self._frames += truth.shape[0]
        self._per_clip.append({"id": truth.id, **scores})
        for what, why in reasons.items():
            self._reasons.setdefault((what, why), []).append(truth.id)

    def finish(self, truth: _Features) -> Row:
        self._features.flush()
        values = aggregate(self._per_clip)
        counts = {"clips": len(self._per_clip), "frames": self._frames}
        left_out = [f"{what}: {why} ({_clips(ids, len(self._per_clip))})" for (what, why), ids in self._reasons.items()]
        for family, own in self._features.statistics.items():
            if min(own.count, truth.statistics[family].count) < 2:
                left_out.append(f"{family}: needs 2 snippets or frames at least, there are {own.count}")
                continue
            values[family] = frechet_between(own.gaussian(), truth.statistics[family].gaussian())
            counts[f"{family}_n"] = own.count
        return Row(
            name=self._candidate.name,
            kind=self._candidate.kind,
            values=values,
            counts=counts,
            extractors={family: self._extractors[family].describe() for family in self._features.statistics},
            left_out=tuple(left_out),
            notes=tuple(self._notes()),
            per_clip=tuple(self._per_clip),
        )

    def _notes(self) -> Iterator[str]:
        doubtful: dict[str, list[str]] = {}
        for family in self._features.statistics:
            weights = self._extractors[family].weights
            if not weights.comparable:
                doubtful.setdefault(weights.label, []).append(family)
        for label, families in doubtful.items():
            yield f"{', '.join(families)}: weights {label}, not comparable with published numbers"
        samples = getattr(self._candidate, "samples", None)
        if samples is not None and samples.lossy:
            yield f"{samples.path}: lossy pictures or videos, which moves every score of frames"


def aggregate(per_clip: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Means over clips (each weighs the same); roots are taken of mean squares; changes become ratios of means."""
    keys = {key: None for clip in per_clip for key in clip if key != "id"}
    means = {key: float(np.mean([clip[key] for clip in per_clip if key in clip])) for key in keys}
    for prefix in ("depth_", "depth_fg_"):
        if f"{prefix}mse" in means:
            means[f"{prefix}rmse"] = means[f"{prefix}mse"] ** 0.5
    values: dict[str, float | None] = {
        key: value for key, value in means.items() if not key.endswith(("_change_pred", "_change_true"))
    }
    for name in ("video_change", "depth_change"):
        if f"{name}_true" in means:
            values[name] = change_ratio(means[f"{name}_pred"], means[f"{name}_true"])
    return values


def _clips(ids: Sequence[str], total: int) -> str:
    if len(ids) == total:
        return "all clips"
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
