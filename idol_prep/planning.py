"""What a preparation would do, without doing it: clips, frames, bytes, and the time by a short trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from idol_prep._prepare_clip import Tools
from idol_prep._stream import FrameStream
from idol_prep.crop import plan
from idol_prep.first_look import FirstLooker
from idol_prep.pipeline import shard_of
from idol_prep.prep_options import PrepOptions
from idol_prep.reading import Replay
from idol_prep.schema import DataError
from idol_prep.second_look import SecondLook
from idol_prep.sources import RawClip, Source

_TRIAL_FRAMES = 16
_BYTES_A_PIXEL = 2.0
"""Frames, mask and depth of a 256 x 256 real clip as FFV1: 127 KB a frame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The work of a shard. ``seconds`` is None where no clip is left to try."""

    clips: int
    finished: int
    frames: int
    """Of the clips that are not finished, as their containers tell."""
    uncounted: int
    """Clips among them whose length only reading tells."""
    unreadable: dict[str, str]
    """Clips that would be rejected at once, and why."""
    bytes: int
    seconds: float | None


def make_plan(source: Source, out: Path, options: PrepOptions) -> Plan:
    """Look at every clip of the shard, and try all annotators on the first frames of a good one. Writes nothing."""
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
    per_frame = _trial(good, options) if good else None
    return Plan(
        clips=len(clips),
        finished=len(clips) - len(left),
        frames=frames,
        uncounted=lengths.count(None),
        unreadable=unreadable,
        bytes=round(frames * options.size**2 * _BYTES_A_PIXEL),
        seconds=None if per_frame is None else frames * per_frame,
    )


def _trial(clips: list[RawClip], options: PrepOptions) -> float | None:
    """Seconds a frame, measured on the first clip that gives frames; None where none does."""
    tools = Tools.make(options)
    try:
        paces = (_both_looks(clip, tools, options) for clip in clips)
        return next((pace for pace in paces if pace is not None), None)
    finally:
        tools.close()


def _both_looks(clip: RawClip, tools: Tools, options: PrepOptions) -> float | None:
    """Seconds a frame of finding the person, and of cutting him out with his depth, one after the other.

    A run does both at once, so it is faster where there are cores or a GPU to spare; writing goes on beside them.
    """
    with closing(FrameStream(clip, 0)) as stream:
        replay = Replay(clip, stream, _TRIAL_FRAMES, split=False)
        looker = FirstLooker(tools.pose, tools.mask)
        first = _pace(_annotated(looker, replay))
    if not replay.frames:
        return None
    found = looker.result()
    second = SecondLook.prepare(found, plan(options.crop, found.boxes, replay.size, options.size, clip.look().fps))
    parts = second.parts(replay.second_look(), tools.depth)
    return first + _pace(part.stop - part.start for part in parts)


def _annotated(looker: FirstLooker, replay: Replay) -> Iterator[int]:
    for chunk in replay.first_look():
        looker.add(chunk)
        yield len(chunk.frames)


def _pace(steps: Iterable[int]) -> float:
    """Seconds a frame of steps that yield how many frames they had; the first, in which networks start, is left out."""
    times, frames = [monotonic()], [0]
    for count in steps:
        times.append(monotonic())
        frames.append(count)
    start = 1 if len(frames) > 2 else 0
    return (times[-1] - times[start]) / max(sum(frames[start + 1 :]), 1)
