"""A short trial of a run: the first frames of some clips made in earnest, in a folder that is thrown away.

It goes through the run's own steps on the run's own threads, writing too, so it needs no model of what overlaps with
what. Networks start in a round before that is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TypeVar

from idol_prep._videos import VideoJob, VideoMaker
from idol_prep.annotators.device import ON_CPU
from idol_prep.prep_options import PrepOptions, Tally
from idol_prep.quality import QualityLimits
from idol_prep.schema import Split
from idol_prep.sources import ClipLook, RawClip, RawFrame

_CLIPS = 3
"""How many are tried, spread over the list."""
_CANDIDATES = 9
"""How many are looked at for one that is good enough to begin with."""
_FRAMES = 4 * ON_CPU
_PATIENCE = 20.0
"""Seconds: where the round before takes longer, a single clip of fewer frames is tried."""
_ANYTHING = QualityLimits(min_frames=1, max_missed_frames=1.0, max_jumps=1.0, min_mask_area=0.0)


_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What a frame costs."""

    seconds: float
    bytes: float


def try_out(clips: Sequence[RawClip], options: PrepOptions) -> Trial | None:
    """Try the first frames of some of these clips; None where none of those tried gives a clip."""
    with TemporaryDirectory(prefix="idol-prep-trial-") as folder:
        job = VideoJob(out=Path(folder), options=replace(options, limits=_ANYTHING, retry="none"), recipe={}, info={})
        maker = job.hire()
        try:
            return _tried(job, maker, spread(clips, _CANDIDATES))
        finally:
            maker.close()


def _tried(job: VideoJob, maker: VideoMaker, clips: Sequence[RawClip]) -> Trial | None:
    warm = _Round()
    while clips and not warm.tally.clips:
        warm = _Round.made(maker, [_Opening(clips[0], f"warm-{len(clips)}", ON_CPU)])
        clips = clips if warm.tally.clips else clips[1:]
    if not clips:
        return None
    count, frames = (_CLIPS, _FRAMES) if warm.seconds < _PATIENCE else (1, ON_CPU)
    some = [_Opening(clip, f"tried-{index}", frames) for index, clip in enumerate(spread(clips, count))]
    tried = _Round.made(maker, some)
    kept = sum(record.frames for name, record in job.known.items() if name.startswith("tried"))
    written = sum(file.stat().st_size for file in job.out.glob("clips/tried*/*"))
    return Trial(seconds=tried.seconds / tried.tally.frames, bytes=written / kept) if kept else None


@dataclass(kw_only=True, slots=True)
class _Round:
    """Some clips made one after another, as a run does."""

    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def made(cls, maker: VideoMaker, clips: Sequence[RawClip]) -> _Round:
        done = cls()
        start = monotonic()
        for clip in clips:
            maker.take(clip, done.tally.add)
        maker.settle(done.tally.add)
        done.seconds = monotonic() - start
        return done


@dataclass(frozen=True, slots=True)
class _Opening:
    """The first frames of a clip, under a name of its own."""

    whole: RawClip
    id: str
    frames: int

    @property
    def split(self) -> Split:
        return self.whole.split

    @property
    def origin(self) -> str:
        return self.whole.origin

    @property
    def stamp(self) -> str:
        return self.whole.stamp

    def look(self) -> ClipLook:
        return self.whole.look()

    def read(self, start: int = 0) -> Iterator[RawFrame]:
        return islice(self.whole.read(start), max(0, self.frames - start))


def spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """So many of them, or all, evenly over their list."""
    places = {int((number + 0.5) * len(items) / count) for number in range(count)} if items else set()
    return [items[place] for place in sorted(places)]
