"""What a preparation would do, without doing it: clips, frames, bytes, and the time by a short trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from idol_prep._prepare_clip import settled
from idol_prep._trial import try_out
from idol_prep.pipeline import shard_of
from idol_prep.prep_options import PrepOptions
from idol_prep.schema import DataError
from idol_prep.sources import RawClip, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The work of a shard. ``bytes`` and ``seconds`` are None where no clip is left, or none of those tried is good."""

    clips: int
    finished: int
    frames: int
    """Of the clips that are not finished, as their containers tell."""
    uncounted: int
    """Clips among them whose length only reading tells."""
    unreadable: dict[str, str]
    """Clips that would be rejected at once, and why."""
    bytes: int | None
    seconds: float | None
    """Of one worker."""


def make_plan(source: Source, out: Path, options: PrepOptions) -> Plan:
    """Look at every clip of the shard, and try the run on the first frames of some. Writes nothing to ``out``.

    Raises `DataError` that names all weights which the annotators lack, before it looks at anything.
    """
    options = settled(source, options)
    clips = shard_of(source, options.shard)
    left = [clip for clip in clips if not (out / "clips" / clip.id / "clip.json").is_file()]
    lengths: list[int | None] = []
    unreadable: dict[str, str] = {}
    good: list[RawClip] = []
    for clip in left:
        try:
            lengths.append(clip.look().frames)
            good.append(clip)
        except DataError as error:
            unreadable[clip.id] = str(error)
    frames = sum(length or 0 for length in lengths)
    tried = try_out(good, options) if good else None
    return Plan(
        clips=len(clips),
        finished=len(clips) - len(left),
        frames=frames,
        uncounted=lengths.count(None),
        unreadable=unreadable,
        bytes=None if tried is None else round(frames * tried.bytes),
        seconds=None if tried is None else frames * tried.seconds,
    )
