"""What putting pictures into shards would do, without doing it: counts, and bytes and time by a short trial."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic

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
    good, tried, seconds = _trial(left[0], options) if left else ([], 0, 0.0)
    known = pictures is not None and tried > 0
    return StillPlan(
        groups=len(groups),
        settled=len(groups) - len(left),
        pictures=pictures,
        tried=tried,
        good=len(good),
        bytes=round(sum(good) / tried * pictures) if known and pictures else None,
        seconds=seconds / tried * pictures if known and pictures else None,
    )


def _trial(group: PictureGroup, options: StillOptions) -> tuple[list[int], int, float]:
    """Bytes of the good samples among a few pictures, how many were tried, and the seconds it took."""
    maker = StillMaker.make(options)
    try:
        started = monotonic()
        outcomes = [maker.outcome(raw) for raw in islice(group.pictures(), _TRIAL)]
        seconds = monotonic() - started
    finally:
        maker.close()
    good = [len(one.picture) + len(one.mask) for one in outcomes if isinstance(one, EncodedStill)]
    return good, len(outcomes), seconds
