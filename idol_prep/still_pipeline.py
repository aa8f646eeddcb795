"""From a source of still pictures to a set of shards: group by group, by any engine, resumable, all accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from idol_prep import engines
from idol_prep._rejecting import Rejected, rejecting
from idol_prep.engines import Engine, Heard
from idol_prep.prep_options import Listener, Progress, Summary, Tally
from idol_prep.schema import DataError, Reject
from idol_prep.sources.pictures import PictureGroup, PictureSource
from idol_prep.still_making import StillMaker, infos_of
from idol_prep.still_options import StillOptions, narrowed
from idol_prep.stills import Ledger, Outcome, StillWriter


@dataclass(frozen=True, kw_only=True, slots=True)
class StillJob:
    """What every worker of a run needs to know."""

    out: Path
    options: StillOptions
    groups: int
    recipe: Mapping[str, Any]
    info: Mapping[str, Any]

    @property
    def device(self) -> str:
        """Where networks run."""
        return self.options.device

    def writer(self) -> StillWriter:
        """Adds shards to the set."""
        return StillWriter(self.out, groups=self.groups, recipe=self.recipe, info=self.info)

    def hire(self) -> StillWorker:
        """A worker, with networks of its own."""
        return StillWorker(self)

    def give_up(self, item: PictureGroup, reason: str) -> Tally:
        """Reject a group whose workers died."""
        self.writer().write_group(item.number, [Reject(id=item.id, source=item.id, stage="worker", reason=reason)])
        return Tally(rejected={item.id: reason})


class StillWorker:
    """Makes groups, one after another. Nothing is left in the making behind."""

    def __init__(self, job: StillJob) -> None:
        self._writer = job.writer()
        self._maker = StillMaker.make(job.options)

    def take(self, item: PictureGroup, heard: Heard) -> None:
        """The whole group, unless it is settled."""
        if self._writer.has(item.number):
            ledger = self._writer.ledger(item.number)
            heard(Tally(kept_before=ledger.samples, rejected_before=len(ledger.rejects)))
            return
        self._writer.write_group(item.number, self._outcomes(item, heard))

    def settle(self, heard: Heard) -> None:
        """Everything is settled already."""

    def close(self) -> None:
        """Let the networks go."""
        self._maker.close()

    def _outcomes(self, group: PictureGroup, heard: Heard) -> Iterator[Outcome]:
        """What becomes of each picture, told as it goes; a group that breaks off leaves a reject for its rest."""
        try:
            with rejecting("decode", "unreadable"):
                for raw in group.pictures():
                    outcome = self._maker.outcome(raw)
                    heard(_tally(outcome))
                    yield outcome
        except Rejected as why:
            rest = Reject(id=f"{group.id}-rest", source=group.id, stage=why.stage, reason=why.reason)
            heard(_tally(rest))
            yield rest


def prepare_stills(
    source: PictureSource,
    out: Path,
    options: StillOptions,
    progress: Listener | None = None,
    engine: Engine | None = None,
) -> Summary:
    """Put the good pictures of ``source`` into the set ``out`` and return what was done; clips stand for groups.

    Run again, it goes on where it stopped. Raises `DataError` for an input or output that cannot be used at all, and
    where no picture was good; what is wrong with single ones goes to ``rejects.jsonl`` instead.
    """
    started, summary = monotonic(), Summary(out=out)
    job = job_of(source, out, options)
    groups = groups_of(source, options)
    _forget(job.writer(), groups, options)

    def told(group: PictureGroup, done: int, tally: Tally) -> None:
        summary.add(tally)
        if progress:
            frames, rejected = summary.frames, len(summary.rejected)
            progress(Progress(clip=group.id, clips_done=done, clips=len(groups), frames_done=frames, rejected=rejected))

    (engine or engines.create()).run(groups, job, told)
    job.writer().finish()
    summary.seconds = monotonic() - started
    return summary


def job_of(source: PictureSource, out: Path, options: StillOptions) -> StillJob:
    """What the workers of a run need to know. Raises `DataError` for annotators that do not fit the source."""
    if options.mask == "dataset" and not source.ships("mask"):
        raise DataError(f"{source.name} ships no masks; choose another --mask, such as mediapipe")
    infos = infos_of(options)
    made_by = {track: f"{info.name} {info.version}" for track, info in infos.items()}
    recipe = {"kind": source.name, "pictures": source.listing, **made_by, "limits": narrowed(options.limits)}
    info = {"source": source.describe(), "annotators": {track: one.to_dict() for track, one in infos.items()}}
    return StillJob(out=out, options=options, groups=len(source.groups()), recipe=recipe, info=info)


def groups_of(source: PictureSource, options: StillOptions) -> list[PictureGroup]:
    """Every N-th group of the source from the i-th on."""
    return list(source.groups())[options.shard[0] - 1 :: options.shard[1]]


def _forget(writer: StillWriter, groups: list[PictureGroup], options: StillOptions) -> None:
    """Have the groups made again whose rejects are to be tried once more."""
    if options.retry == "none":
        return
    for group in groups:
        if writer.has(group.number) and _has_more(writer.ledger(group.number), options):
            writer.forget(group.number)


def _has_more(ledger: Ledger, options: StillOptions) -> bool:
    return any(options.retry == "all" or reject.failed for reject in ledger.rejects)


def _tally(outcome: Outcome) -> Tally:
    if isinstance(outcome, Reject):
        return Tally(frames=1, rejected={outcome.id: outcome.reason})
    return Tally(clips=1, frames=1, found_frames=1)
