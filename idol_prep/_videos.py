"""Videos one after another through one set of annotators: what a single worker does, whoever hands it the videos."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idol_prep._prepare_clip import ClipMaker, Made, Tools, source_words
from idol_prep._rejecting import Rejected
from idol_prep._stream import FrameStream
from idol_prep.engines import Heard
from idol_prep.prep_options import PrepOptions, Tally
from idol_prep.reading import Replay
from idol_prep.schema import ClipRecord, DatasetWriter, Reject
from idol_prep.sources import RawClip


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoJob:
    """What every worker of a run needs to know."""

    out: Path
    options: PrepOptions
    recipe: Mapping[str, Any]
    """What all clips of the dataset have in common."""
    info: Mapping[str, Any]
    """Further matter for ``dataset.json``."""
    known: dict[str, ClipRecord] = field(default_factory=dict)
    """Records that were read in this process: ten thousand finished clips are opened once."""

    def writer(self) -> DatasetWriter:
        """Adds clips to the dataset."""
        return DatasetWriter(self.out, recipe=self.recipe, info=self.info, known=self.known)

    @property
    def device(self) -> str:
        """Where networks run."""
        return self.options.device

    def hire(self) -> VideoMaker:
        """A worker, with networks of its own."""
        return VideoMaker(self)

    def give_up(self, item: RawClip, reason: str) -> Tally:
        """Reject a video whose workers died."""
        self.writer().reject(Reject(id=item.id, source=source_words(item), stage="worker", reason=reason))
        return Tally(rejected={item.id: reason})


def part_id(clip_id: str, part: int) -> str:
    """The id of clip number ``part`` (from 0) of a video: the first has the video's own."""
    return clip_id if part == 0 else f"{clip_id}-part{part + 1}"


class VideoMaker:
    """Makes the clips of videos. The second step of a clip runs on a thread, beside the first of the next."""

    def __init__(self, job: VideoJob, tools: Tools | None = None) -> None:
        self._options = job.options
        self._tools = tools or Tools.make(job.options)
        self._writer = job.writer()
        self._maker = ClipMaker(self._tools, self._writer, job.options)
        self._finisher = ThreadPoolExecutor(1, "idol-prep-finish")
        self._waiting: Future[Made] | None = None
        self._rejected_before = self._to_be_left(self._writer.rejects())

    def take(self, item: RawClip, heard: Heard) -> None:
        """Look at every clip of a video that is not settled yet; the last one may still be in the making behind."""
        raw = item
        stream: FrameStream | None = None
        part, start = 0, 0
        try:
            while start is not None:
                clip_id = part_id(raw.id, part)
                settled = self._settled(raw, clip_id, heard)
                if settled:
                    start = settled.next_frame
                else:
                    stream = self._stream_at(stream, raw, start)
                    start = self._one(raw, clip_id, stream, heard)
                part += 1
        finally:
            if stream is not None:
                stream.close()

    def settle(self, heard: Heard) -> None:
        """Wait for the clip in the making, and count it."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        made = waiting.result()
        looked = made.looked
        if isinstance(made.outcome, Rejected):
            self._reject(looked.raw, looked.clip_id, made.outcome, looked.replay.next_frame, heard)
            return
        lost = {f"{looked.clip_id}-rest": made.outcome.lost} if made.outcome.lost else {}
        heard(Tally(clips=1, rejected=lost))

    def close(self) -> None:
        """Let the clip in hand be finished, and the networks go; also after an error or Ctrl-C."""
        self._finisher.shutdown(wait=True)
        self._tools.close()

    def _to_be_left(self, rejects: dict[str, Reject]) -> dict[str, Reject]:
        retry = self._options.retry
        return {name: one for name, one in rejects.items() if retry == "none" or (retry == "failed" and not one.failed)}

    def _settled(self, raw: RawClip, clip_id: str, heard: Heard) -> ClipRecord | Reject | None:
        """What became of a clip in an earlier run; one of the same name from elsewhere settles it, too."""
        record = self._writer.record(clip_id)
        if record is None:
            left = self._rejected_before.get(clip_id)
            if left is not None:
                heard(Tally(rejected_before=1))
            return left
        if record.source != source_words(raw):
            reason = f"name taken: {clip_id} was made from {record.source}; rename this one, or choose another folder"
            heard(Tally(rejected={clip_id: reason}))
            return Reject(id=clip_id, source=source_words(raw), stage="plan", reason=reason)
        heard(Tally(kept_before=1))
        return record

    def _stream_at(self, stream: FrameStream | None, raw: RawClip, start: int) -> FrameStream:
        """The video's frames from ``start`` on: those in hand where they stand there."""
        if stream is not None and stream.position == start:
            return stream
        if stream is not None:
            stream.close()
        return FrameStream(raw, start)

    def _one(self, raw: RawClip, clip_id: str, stream: FrameStream, heard: Heard) -> int | None:
        """One clip; returns where the video goes on behind it."""

        def count(frames: int, found: int) -> None:
            heard(Tally(frames=frames, found_frames=found))

        options = self._options
        replay = Replay(
            raw, stream, options.clip_frames, chunk=self._tools.frames_at_once, split=options.cuts == "split"
        )
        try:
            looked = self._maker.look(raw, clip_id, replay, count)
        except Rejected as reject:
            self.settle(heard)
            self._reject(raw, clip_id, reject, replay.next_frame, heard)
            return replay.next_frame
        self.settle(heard)
        self._waiting = self._finisher.submit(self._maker.finish, looked)
        return replay.next_frame

    def _reject(self, raw: RawClip, clip_id: str, why: Rejected, next_frame: int | None, heard: Heard) -> None:
        self._writer.reject(
            Reject(id=clip_id, source=source_words(raw), stage=why.stage, reason=why.reason, next_frame=next_frame)
        )
        heard(Tally(rejected={clip_id: why.reason}))
