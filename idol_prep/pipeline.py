"""From a source to a prepared dataset: clip by clip, resumable, nothing dropped in silence.

decode -> pose and mask (first look) -> box, quality -> cut, depth (second look) -> write. The second look and the
writing of a clip run on a thread of their own, beside the first look at the next one. A video longer than
``clip_frames`` becomes several clips, so memory does not grow with its length: 1 GiB of source frames and one finished
clip (8 bytes a pixel and frame, 0.5 GiB for 1024 frames of 256 x 256) at a time, twice that where two clips overlap.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from time import monotonic

from idol_prep._prepare_clip import ClipMaker, Made, Rejected, Tools, source_words
from idol_prep.prep_options import Listener, PrepOptions, Progress, Summary
from idol_prep.schema import Clip, DataError, DatasetWriter
from idol_prep.sources import RawClip, Source

__all__ = ["PrepOptions", "Progress", "Summary", "part_id", "prepare", "recipe_of", "shard_of"]


def prepare(source: Source, out: Path, options: PrepOptions, progress: Listener | None = None) -> Summary:
    """Prepare every clip of ``source`` into the dataset ``out`` and return what was done.

    Run again, it goes on where it stopped. Raises `DataError` for an input or output that cannot be used at all, and
    where nothing could be prepared; what is wrong with single clips goes to ``rejects.jsonl`` instead.
    """
    run = _Run(source, out, options, progress or (lambda _: None))
    try:
        run.all()
    finally:
        run.close()
    run.check()
    return run.summary


def recipe_of(source: Source, options: PrepOptions, tools: Tools) -> dict:
    """What all clips of a dataset have in common; a dataset takes no clips made another way."""
    made_by = {track: f"{info.name} {info.version}" for track, info in tools.infos().items()}
    lengths = {"clip_frames": options.clip_frames, "min_frames": options.limits.min_frames}
    return {"kind": source.name, "size": options.size, "crop": options.crop, **made_by, **lengths}


def shard_of(source: Source, shard: tuple[int, int]) -> list[RawClip]:
    """Every N-th clip of the source from the i-th on: the parts of all shards are the whole."""
    return list(source.clips())[shard[0] - 1 :: shard[1]]


def part_id(clip_id: str, part: int) -> str:
    """The id of clip number ``part`` (from 0) of a video: the first has the video's own."""
    return clip_id if part == 0 else f"{clip_id}-part{part + 1}"


class _Run:
    """One run over a source: first looks here, the rest of each clip on the finisher's thread."""

    def __init__(self, source: Source, out: Path, options: PrepOptions, listener: Listener) -> None:
        self._options, self._listener = options, listener
        self._clips = shard_of(source, options.shard)
        self._tools = tools = Tools.make(options)
        info = {
            "source": source.describe(),
            "annotators": {track: info.to_dict() for track, info in tools.infos().items()},
            "approximate": list(tools.approximate()),
        }
        self._writer = DatasetWriter(out, recipe=recipe_of(source, options, tools), info=info)
        self._maker = ClipMaker(tools, self._writer, options)
        self._finisher = ThreadPoolExecutor(1, "idol-prep-finish")
        self._waiting: Future[Made] | None = None
        self._rejected_before = {entry["id"]: entry["stage"] for entry in self._writer.rejects()}
        self._started = monotonic()
        self.summary = Summary(out=out, approximate=tools.approximate())

    def all(self) -> None:
        """Every clip of the shard."""
        for number, raw in enumerate(self._clips):
            self._tell(raw, number)
            for part in count():
                if not self._one(raw, part, number):
                    break
        self._collect()

    def close(self) -> None:
        """Let the clip in hand be finished and bring the manifest up to date; also after an error or Ctrl-C."""
        self._finisher.shutdown(wait=True)
        self._tools.close()
        if any((self._writer.root / "clips").glob("*/clip.json")):
            self._writer.finish()
        self.summary.seconds = monotonic() - self._started

    def check(self) -> None:
        """Raise where the run left nothing at all."""
        done, rejected = self.summary, self.summary.rejected
        if done.clips or done.kept_before or not self._clips:
            return
        if rejected:
            (clip, reason), others = next(iter(rejected.items())), len(rejected) - 1
            raise DataError(f"nothing was prepared; {clip}: {reason}" + (f" (and {others} more)" if others else ""))
        raise DataError(f"nothing was prepared: all {done.rejected_before} clips were rejected before; --retry-rejects")

    def _one(self, raw: RawClip, part: int, number: int) -> bool:
        """One clip; returns whether the video may go on behind it."""
        clip_id = part_id(raw.id, part)
        if self._writer.has(clip_id):
            return self._already(raw, clip_id)
        if clip_id in self._rejected_before and not self._options.retry_rejects:
            self.summary.rejected_before += 1
            return self._rejected_before[clip_id] == "quality" and self._goes_on(raw, part)

        def told(frames: int, found: int) -> None:
            self.summary.frames += frames
            self.summary.found_frames += found
            self._tell(raw, number)

        try:
            looked = self._maker.look(raw, clip_id, part * self._options.clip_frames, told)
        except Rejected as reject:
            self._reject(clip_id, raw, reject)
            return reject.goes_on
        if looked is None:
            return False
        self._collect()
        self._waiting = self._finisher.submit(self._maker.finish, looked)
        return looked.frames == self._options.clip_frames

    def _goes_on(self, raw: RawClip, part: int) -> bool:
        """Whether a video that was not looked at in this run has frames behind this part."""
        frames = raw.look().frames
        return frames is None or frames > (part + 1) * self._options.clip_frames

    def _already(self, raw: RawClip, clip_id: str) -> bool:
        """A clip that exists: finished before, or another one of the same name."""
        record = Clip.open(self._writer.root / "clips" / clip_id).record
        if record.source != source_words(raw):
            reason = f"name taken: {clip_id} was made from {record.source}; rename this one, or choose another folder"
            self._reject(clip_id, raw, Rejected("plan", reason))
            return False
        self.summary.kept_before += 1
        return record.frames == self._options.clip_frames

    def _collect(self) -> None:
        """Wait for the clip on the finisher's thread and count it."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        made = waiting.result()
        self.summary.clips += made.kept
        for clip_id, reject in made.rejects.items():
            self._reject(clip_id, made.raw, reject)

    def _reject(self, clip_id: str, raw: RawClip, reject: Rejected) -> None:
        self._writer.reject(clip_id, source=source_words(raw), stage=reject.stage, reason=reject.reason)
        self.summary.rejected[clip_id] = reject.reason

    def _tell(self, raw: RawClip, number: int) -> None:
        done = self.summary.frames
        self._listener(Progress(clip=raw.id, clips_done=number, clips=len(self._clips), frames_done=done))
