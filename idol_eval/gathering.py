"""First half of scoring: clips go by once, every candidate answers each. Memory does not grow with the clips."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from idol_eval import geometry
from idol_eval.baselines import Candidate
from idol_eval.config import BenchConfig
from idol_eval.evidence import Evidence, RowEvidence
from idol_eval.features import Extractor
from idol_eval.protocol import Protocol
from idol_eval.samples import ClipSet, EvalClip, SampleError
from idol_eval.scores import clip_scores
from idol_eval.store import FeatureStore, clip_key, content_key, rule_key
from idol_eval.versions import versions
from idol_eval.windows import clip_features


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """``done`` of ``total`` clips; ``what`` is the clip's id."""

    done: int
    total: int
    what: str


_NOT_OF_BASELINES = ("alignment", "pose")
"""Trivial answers have no picture of their own to align with."""
Tell: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Which clips of ``ids`` (all that the benchmark has) are scored here, and where their features are kept."""

    reference: ClipSet
    ids: Sequence[str]
    here: Sequence[str]
    store: FeatureStore


def gather(
    candidates: Sequence[Candidate], work: Work, config: BenchConfig, tell: Tell = lambda progress: None
) -> Evidence:
    """Score ``candidates`` on the clips ``work.here``, all in one pass.

    Raises:
        SampleError: a pair that does not fit, or a clip too short for a chosen metric; it names the clip and the fix.
    """
    if not work.ids:
        raise SampleError(
            f"{work.reference.path}: no clips to score; choose another split, or give samples of its clips"
        )
    extractors, more = config.extractors(), config.network_measures()
    featuring = _Featuring(extractors, config.protocol, work.store)
    evidence = Evidence(
        protocol=config.protocol.to_dict(),
        families=list(config.families),
        ids=list(work.ids),
        reference=work.reference.describe(),
        extractors={family: extractor.describe() for family, extractor in extractors.items()} | config.network_labels(),
        versions=versions(),
        rows=[_row(one, work.reference) for one in candidates],
    )
    for done, (truth, answers) in enumerate(_answered(candidates, work, config), start=1):
        featuring.add(truth, evidence.truth)
        evidence.contents[truth.id] = clip_key(truth)
        for candidate, row, pred in zip(candidates, evidence.rows, answers, strict=True):
            families = [one for one in config.families if row.kind != "baseline" or one not in _NOT_OF_BASELINES]
            scores, reasons = clip_scores(pred, truth, families, more)
            row.per_clip[truth.id], row.frames[truth.id] = scores, truth.shape[0]
            for what, why in reasons.items():
                row.leave_out(f"{what}: {why}", truth.id)
            if candidate.compares_features:
                featuring.add(pred, row.keys, truth.id)
        evidence.done.append(truth.id)
        tell(Progress(done=done, total=len(work.here), what=truth.id))
    _state_precision(evidence, extractors, work.store)
    return evidence


def truths(reference: ClipSet, ids: Sequence[str], protocol: Protocol) -> Iterator[EvalClip]:
    """The reference clips as the protocol sees them."""
    fit = geometry.fitting(protocol.size)
    for id in ids:
        yield fit(reference.read(id, protocol.frames))


class _Featuring:
    """Features of clips into the store, unless it has them."""

    def __init__(self, extractors: Mapping[str, Extractor], protocol: Protocol, store: FeatureStore) -> None:
        self._extractors, self._protocol, self._store = extractors, protocol, store
        rules = ("snippet", "stride", "windows", "padding", "container", "fid_frames")
        self._rules = {name: getattr(protocol, name) for name in rules}

    def add(self, clip: EvalClip, keys: dict[str, dict[str, str]], id: str | None = None) -> None:
        """Raises SampleError for a clip shorter than a snippet."""
        if clip.video is None:
            return
        for family, extractor in self._extractors.items():
            made_by = {"family": family, **extractor.describe(), **self._rules}
            key = content_key(clip.video, made_by)
            if self._store.get(key) is None:
                self._store.put(key, clip_features(extractor, family, clip.video, self._protocol, clip.id))
            keys.setdefault(family, {})[id or clip.id] = key


def _answered(
    candidates: Sequence[Candidate], work: Work, config: BenchConfig
) -> Iterator[tuple[EvalClip, list[EvalClip]]]:
    """Each truth with all answers, read by ``config.workers`` threads while the one before is scored."""
    fit = geometry.fitting(config.protocol.size)

    def read(id: str) -> tuple[EvalClip, list[EvalClip]]:
        truth = fit(work.reference.read(id, config.protocol.frames))
        return truth, [candidate.answer(truth) for candidate in candidates]

    if config.workers == 0:
        yield from map(read, work.here)
        return
    with ThreadPoolExecutor(config.workers) as pool:
        waiting = [pool.submit(read, id) for id in work.here[: config.workers]]
        for number in range(len(work.here)):
            found = waiting.pop(0).result()
            following = number + config.workers
            if following < len(work.here):
                waiting.append(pool.submit(read, work.here[following]))
            yield found


def _row(candidate: Candidate, reference: ClipSet) -> RowEvidence:
    notes: list[str] = [*getattr(candidate, "notes", ())]
    samples: Any = getattr(candidate, "samples", None)
    lossy = samples is not None and bool(samples.lossy)
    for one in (samples, reference) if candidate.kind == "measured" else ():
        if one is not None and one.lossy:
            notes.append(f"{one.path}: lossy pictures or videos, which moves every score of frames")
    of: str | None = getattr(candidate, "repeat_of", None)
    return RowEvidence(
        name=candidate.name,
        kind=candidate.kind,
        notes=notes,
        lossy=lossy,
        repeat_of=of,
        background=getattr(candidate, "background", ""),
        recipe=getattr(candidate, "recipe", None),
    )


def _state_precision(evidence: Evidence, extractors: Mapping[str, Extractor], store: FeatureStore) -> None:
    """What bfloat16 costs, by the batch that was run both ways; kept beside the features that it speaks of."""
    for family, extractor in extractors.items():
        if extractor.precision == "float32":
            continue
        key = rule_key({"precision error of": extractor.describe()})
        if extractor.precision_error is not None:
            store.put(key, np.array([[extractor.precision_error]], np.float32))
        error = store.get(key)
        said = "an unknown amount (kept features)" if error is None else f"{float(error[0, 0]):.2%} (first batch)"
        for row in evidence.rows:
            if family in row.keys:
                row.notes.append(f"{family}: bfloat16 features differ from float32 by {said}")
