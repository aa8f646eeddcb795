"""Scoring under a bar: at once, or one shard of it for `idol bench merge` to join."""

import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cli._output import Output
from cli.bench import sheet
from idol_eval.baselines import Candidate
from idol_eval.bench import BenchConfig, Row
from idol_eval.concluding import conclude
from idol_eval.gathering import Work, gather
from idol_eval.samples import ClipSet
from idol_eval.shards import EVIDENCE, FEATURES, Shard
from idol_eval.store import FeatureStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where work is kept: ``folder`` (None keeps nothing), and which part of it is done here."""

    folder: Path | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.shard is not None and self.folder is None:
            raise ValueError("--shard: needs a folder for what it finds; name one with -o")

    def part(self, ids: Sequence[str]) -> list[str]:
        """The clips that are scored here."""
        return list(ids) if self.shard is None else self.shard.of(ids)

    def features(self) -> AbstractContextManager[str]:
        """The folder of features, a passing one where nothing is kept."""
        if self.folder is None:
            return tempfile.TemporaryDirectory()
        home = self.folder if self.shard is None else self.folder / self.shard.folder
        return nullcontext(str(home / FEATURES))


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Candidates on the clips ``ids`` of ``reference``."""

    candidates: Sequence[Candidate]
    reference: ClipSet
    ids: Sequence[str]


def score(out: Output, job: Job, config: BenchConfig, place: Place) -> list[Row]:
    """Rows; none where this was a shard, whose evidence is then in its folder."""
    networks = ", ".join(config.feature_families) or "no networks"
    out.note(f"scoring     protocol {config.protocol.id}, {', '.join(config.families)} (features: {networks})")
    here = place.part(job.ids)
    with place.features() as folder, out.progress(len(here), "scoring") as bar:
        store = FeatureStore(Path(folder))
        work = Work(reference=job.reference, ids=job.ids, here=here, store=store)
        evidence = gather(job.candidates, work, config, lambda at: bar.update(at.done, note=at.what))
        if place.shard is None:
            return conclude(evidence, store, config)
    assert place.folder is not None  # Place asks for it
    home = place.folder / place.shard.folder
    evidence.save(home / EVIDENCE)
    sheet.keep_worst(home, evidence, job.candidates, (job.reference, config.protocol))
    return []
