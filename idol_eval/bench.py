"""Scoring in one call: gather evidence from the clips, draw rows from it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from idol_eval.baselines import Candidate, Kind
from idol_eval.concluding import aggregate, conclude
from idol_eval.config import BenchConfig
from idol_eval.gathering import Progress, Tell, Work, gather, truths
from idol_eval.row import Row
from idol_eval.samples import ClipSet, EvalClip, Pairing
from idol_eval.store import FeatureStore

__all__ = ["BenchConfig", "Progress", "Row", "SampleCandidate", "aggregate", "score", "truths"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleCandidate:
    """A set of samples as a candidate. ``ids`` maps reference ids to sample ids.

    ``background`` and ``recipe`` are those of its `Row`.
    """

    name: str
    samples: ClipSet
    ids: Mapping[str, str]
    frames: int | None = None
    kind: Kind = "measured"
    compares_features: bool = True
    repeat_of: str | None = None
    """The model, where these are its samples of one seed of several: rows of one model get a row of means."""
    notes: tuple[str, ...] = ()
    background: str = ""
    recipe: str | None = None

    @classmethod
    def of(cls, name: str, samples: ClipSet, pairing: Pairing, frames: int | None = None) -> "SampleCandidate":
        """For the pairs that `idol_eval.samples.pair` found, or the first ``frames`` frames of each."""
        ids = {true: own for own, true in pairing.pairs}
        return cls(name=name, samples=samples, ids=ids, frames=frames, notes=pairing.notes)

    def answer(self, truth: EvalClip) -> EvalClip:
        """The sample of this clip."""
        return self.samples.read(self.ids[truth.id], self.frames)


def score(
    candidates: Sequence[Candidate],
    reference: ClipSet,
    ids: Sequence[str],
    config: BenchConfig = BenchConfig(),  # noqa: B008
    tell: Tell = lambda progress: None,
    cache: Path | None = None,
) -> list[Row]:
    """Score ``candidates`` on the reference clips ``ids``, all in one pass; one row each, in their order.

    ``cache`` keeps features for the next time, found again by content; None keeps nothing.

    Raises:
        SampleError: a pair that does not fit, or a clip too short for a chosen metric; it names the clip and the fix.
    """
    if cache is None:
        with tempfile.TemporaryDirectory() as folder:
            return score(candidates, reference, ids, config, tell, Path(folder))
    store = FeatureStore(cache)
    evidence = gather(candidates, Work(reference=reference, ids=ids, here=ids, store=store), config, tell)
    return conclude(evidence, store, config)
