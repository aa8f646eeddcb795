"""What a preparation would do, without doing it: clips, frames, bytes, and the time by a short trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from idol_prep._prepare_clip import Tools
from idol_prep._stream import FrameStream
from idol_prep.first_look import FirstLooker
from idol_prep.pipeline import shard_of
from idol_prep.prep_options import PrepOptions
from idol_prep.reading import Replay
from idol_prep.schema import DataError
from idol_prep.sources import RawClip, Source

_TRIAL_FRAMES = 16
_BYTES_A_PIXEL = 2.0
"""Frames, mask and depth of a 256 x 256 real clip as FFV1: 127 KB a frame."""
_SECOND_LOOK = 0.5
"""Time of cutting and writing, in units of the time of the first look."""


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
    """Look at every clip of the shard, and try the annotators on the first frames of the first. Writes nothing."""
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
    per_frame = _trial(good[0], options) if good else None
    return Plan(
        clips=len(clips),
        finished=len(clips) - len(left),
        frames=frames,
        uncounted=lengths.count(None),
        unreadable=unreadable,
        bytes=round(frames * options.size**2 * _BYTES_A_PIXEL),
        seconds=None if per_frame is None else frames * per_frame,
    )


def _trial(clip: RawClip, options: PrepOptions) -> float:
    """Seconds a frame, measured on a few; the networks' start is left out."""
    tools = Tools.make(options)
    try:
        looker = FirstLooker(tools.pose, tools.mask)
        stream = FrameStream(clip, 0)
        replay = Replay(clip, stream, _TRIAL_FRAMES, split=False)
        times = [monotonic()]
        for chunk in replay.first_look():
            looker.add(chunk)
            times.append(monotonic())
        stream.close()
    finally:
        tools.close()
    chunks = len(times) - 1
    if chunks < 2:
        return (times[-1] - times[0]) / max(replay.frames, 1) * (1 + _SECOND_LOOK)
    return (times[-1] - times[1]) / (replay.frames - replay.frames // chunks) * (1 + _SECOND_LOOK)
