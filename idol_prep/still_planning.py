"""What putting pictures into shards would do, without doing it: counts, and bytes and time by a short trial."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic

from idol_prep._still_shard import shard_writer
from idol_prep.sources.pictures import PictureGroup, PictureSource
from idol_prep.still_making import StillMaker
from idol_prep.still_options import StillOptions
from idol_prep.still_pipeline import groups_of, job_of
from idol_prep.stills import EncodedStill, settled

_TRIAL = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class StillPlan:
    """Counts of this shard of the source; None where only doing it would tell."""

    groups: int
    settled: int
    pictures: int | None
    """In the groups that are left."""
    tried: int
    good: int
    """Of those tried."""
    bytes: int | None
    seconds: float | None


def make_still_plan(source: PictureSource, out: Path, options: StillOptions) -> StillPlan:
    """Count what is left, and try the first pictures of it. Raises `DataError` as `prepare_stills` would."""
    job_of(source, out, options)
    groups = groups_of(source, options)
    left = [group for group in groups if not settled(out, group.number)]
    counts = [group.count for group in left]
    pictures = None if None in counts else sum(count or 0 for count in counts)
    trial = _trial(left[0], options) if left else _Trial()
    known = trial.tried and pictures
    return StillPlan(
        groups=len(groups),
        settled=len(groups) - len(left),
        pictures=pictures,
        tried=trial.tried,
        good=trial.good,
        bytes=round(trial.bytes / trial.tried * pictures) if known and pictures else None,
        seconds=trial.seconds * pictures if known and pictures else None,
    )


@dataclass(kw_only=True, slots=True)
class _Trial:
    """A few pictures made in earnest, in memory."""

    tried: int = 0
    good: int = 0
    bytes: int = 0
    """Of a shard with the good ones."""
    seconds: float = 0.0
    """Of one picture; the first, in which networks start, is left out where there are others."""


def _trial(group: PictureGroup, options: StillOptions) -> _Trial:
    done, stream, times = _Trial(), io.BytesIO(), [monotonic()]
    maker = StillMaker.make(options)
    try:
        with shard_writer(stream) as shard:
            for raw in islice(group.pictures(), _TRIAL):
                outcome = maker.outcome(raw)
                done.tried += 1
                if isinstance(outcome, EncodedStill):
                    done.good += 1
                    shard.add(outcome)
                    done.bytes = stream.tell()
                times.append(monotonic())
    finally:
        maker.close()
    start = 1 if len(times) > 2 else 0
    done.seconds = (times[-1] - times[start]) / max(len(times) - 1 - start, 1)
    return done
