"""One clip from raw frames to a folder of the dataset, in two steps that may run on different threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from idol_prep import annotators
from idol_prep.annotators.protocol import AnnotatorInfo, DepthAnnotator, MaskAnnotator, PoseAnnotator
from idol_prep.crop import CropPlan, plan
from idol_prep.first_look import FirstLook, FirstLooker
from idol_prep.prep_options import PrepOptions
from idol_prep.quality import ClipMeter, pose_scores, why_reject
from idol_prep.reading import Replay, ahead
from idol_prep.schema import ClipRecord, DataError, DatasetWriter, DepthTrack
from idol_prep.second_look import SecondLook
from idol_prep.sources import ClipLook, RawClip

_STRAY_PERCENTILES = (0.5, 99.5)
_SAMPLE = 100_000


class Rejected(Exception):
    """A clip that is left out: at which stage, and why; ``goes_on`` where its video has more to look at."""

    def __init__(self, stage: str, reason: str, *, goes_on: bool = False) -> None:
        super().__init__(reason)
        self.stage, self.reason, self.goes_on = stage, reason, goes_on


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """The annotators of a run."""

    pose: PoseAnnotator
    mask: MaskAnnotator
    depth: DepthAnnotator

    @classmethod
    def make(cls, options: PrepOptions) -> Tools:
        """Build what ``options`` name. Raises where an annotator is unknown or not installed."""
        pose, mask = annotators.create_pair(options.pose, options.mask)
        depth = annotators.create_depth(options.depth, polarity=options.depth_polarity)
        return cls(pose=pose, mask=mask, depth=depth)

    def infos(self) -> dict[str, AnnotatorInfo]:
        """Who makes which track."""
        return {"keypoints": self.pose.info, "mask": self.mask.info, "depth": self.depth.info}

    def approximate(self) -> tuple[str, ...]:
        """The tracks that only stand in for the real quantity."""
        return tuple(track for track, info in self.infos().items() if info.approximate)

    def close(self) -> None:
        """Let networks and their threads go."""
        for annotator in (self.pose, self.mask, self.depth):
            annotator.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """A clip after its first look, good enough to be made."""

    raw: RawClip
    clip_id: str
    start: int
    look: ClipLook
    replay: Replay
    found: FirstLook
    crop: CropPlan

    @property
    def frames(self) -> int:
        return self.replay.frames


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """How the second step ended; ``rejects`` are ids with reasons, the clip's own or that of its lost rest."""

    raw: RawClip
    kept: bool
    rejects: dict[str, Rejected] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClipMaker:
    """Makes clips with one set of tools. `look` raises `Rejected`; `finish` returns it, being on another thread."""

    tools: Tools
    writer: DatasetWriter
    options: PrepOptions

    def look(self, raw: RawClip, clip_id: str, start: int, count: Callable[[int, int], None]) -> Looked | None:
        """Find the person in the frames from ``start`` on; None where the video has ended before.

        ``count`` hears after each chunk how many frames it had, and in how many somebody was found.
        """
        with _rejecting("decode", "unreadable"):
            look = raw.look()
        replay = Replay(raw, start, self.options.clip_frames)
        with _rejecting("annotate", "failed"):
            looker = FirstLooker(self.tools.pose, self.tools.mask)
            for chunk in replay.first_look():
                count(len(chunk.frames), looker.add(chunk))
        if not replay.frames and start and not replay.broken:
            return None
        self._check_length(replay, start)
        found = looker.result()
        crop = plan(self.options.crop, found.boxes, replay.size, self.options.size, look.fps)
        self._check_quality(found, crop, replay.frames)
        return Looked(raw=raw, clip_id=clip_id, start=start, look=look, replay=replay, found=found, crop=crop)

    def finish(self, looked: Looked) -> Made:
        """Cut, annotate depth and write. A full disk or the like raises: it concerns the whole run."""
        second = SecondLook.prepare(looked.found, looked.crop)
        scores: dict[str, float] = {}
        try:
            self.writer.write_clip(
                self._record(looked, scores),
                frames=self._frames(looked, second, scores),
                mask=second.mask,
                keypoints=second.pose.keypoints,
                depth=self._depth_track(second),
            )
        except Rejected as reject:
            return Made(raw=looked.raw, kept=False, rejects={looked.clip_id: reject})
        return Made(raw=looked.raw, kept=True, rejects=_lost_rest(looked))

    def _frames(self, looked: Looked, second: SecondLook, scores: dict[str, float]) -> Iterator[NDArray[np.uint8]]:
        """The cut frames, cut on a thread while the writer encodes them; fills mask, depth and scores on the way.

        The writer asks for frames first, and writes the record last: by then the other tracks and the scores are there.
        """
        meter = ClipMeter()
        with (
            _rejecting("cut", "failed"),
            closing(ahead(second.parts(looked.replay.second_look(), self.tools.depth))) as parts,
        ):
            for part in parts:
                meter.add(second.mask[part], second.depth[part])
                yield from second.frames[part]
        scores |= meter.scores(second.pose.keypoints, looked.crop.resolution, self._depth_span(second))
        scores |= {name: float(value) for name, value in looked.look.notes.items()}

    def _depth_span(self, second: SecondLook) -> float:
        """The depth range of the person, from a sample of all pixels."""
        inside = second.depth[(second.mask > 0) & np.isfinite(second.depth)]
        if not inside.size:
            raise Rejected("quality", f"no depth: {self.tools.depth.info.name} gave no value on the person")
        sample = inside[:: max(1, inside.size // _SAMPLE)]
        return float(np.subtract(*np.percentile(sample, _STRAY_PERCENTILES[::-1])))

    def _record(self, looked: Looked, scores: dict[str, float]) -> ClipRecord:
        infos = self.tools.infos()
        return ClipRecord(
            id=looked.clip_id,
            split=looked.raw.split,
            source=source_words(looked.raw),
            fps=looked.look.fps,
            start_frame=looked.start,
            approximate=self.tools.approximate(),
            scores=scores,
            annotators={track: info.to_dict() for track, info in infos.items()},
        )

    def _depth_track(self, second: SecondLook) -> DepthTrack:
        depth = self.tools.depth
        return DepthTrack(
            values=second.depth, polarity=depth.polarity, scope=depth.scope, percentiles=_STRAY_PERCENTILES
        )

    def _check_length(self, replay: Replay, start: int) -> None:
        if replay.frames >= self.options.limits.min_frames:
            return
        if replay.broken:
            raise Rejected(
                "decode", f"truncated: only {replay.frames} frames from {start} on are good; {replay.broken}"
            )
        raise Rejected("quality", f"too short: {replay.frames} frames, at least {self.options.limits.min_frames}")

    def _check_quality(self, found: FirstLook, crop: CropPlan, frames: int) -> None:
        scores = pose_scores(found.pose.keypoints) | {"mask_area": found.mask_part(crop.width * crop.height)}
        reason = why_reject(scores, frames, self.options.limits)
        if reason is not None:
            raise Rejected("quality", reason, goes_on=frames == self.options.clip_frames)


def source_words(raw: RawClip) -> str:
    """Where a clip comes from, precise enough to see that its raw files have changed."""
    return f"{raw.origin} ({raw.stamp})"


def _lost_rest(looked: Looked) -> dict[str, Rejected]:
    """What is said of a video that broke off after enough good frames."""
    if not looked.replay.broken:
        return {}
    end = looked.start + looked.frames
    reason = f"truncated: {looked.frames} good frames are kept, nothing after frame {end}; {looked.replay.broken}"
    return {f"{looked.clip_id}-rest": Rejected("decode", reason)}


@contextmanager
def _rejecting(stage: str, kind: str) -> Iterator[None]:
    """Errors that concern one clip become its reject; a full disk, missing packages and Ctrl-C pass."""
    try:
        yield
    except DataError as error:
        raise Rejected(stage, f"{kind}: {error}") from error
    except (RuntimeError, ValueError, ArithmeticError, IndexError) as error:
        raise Rejected(stage, f"fault: {type(error).__name__}: {error}") from error
