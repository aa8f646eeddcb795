"""One clip from raw frames to a folder of the dataset, in two steps that may run on different threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from idol_prep import annotators
from idol_prep._rejecting import Rejected, rejecting
from idol_prep.annotators import Setting
from idol_prep.annotators.device import Device
from idol_prep.annotators.protocol import AnnotatorInfo, DepthAnnotator, Kind, MaskAnnotator, PoseAnnotator
from idol_prep.annotators.weights import Weights
from idol_prep.crop import CropPlan, plan
from idol_prep.first_look import FirstLook, FirstLooker, smoothed
from idol_prep.prep_options import PrepOptions
from idol_prep.quality import ClipMeter, pose_scores, why_reject
from idol_prep.reading import Replay, ahead
from idol_prep.schema import ClipRecord, DatasetWriter, DepthTrack
from idol_prep.second_look import SecondLook
from idol_prep.sources import ClipLook, RawClip, Source

_STRAY_PERCENTILES = (0.5, 99.5)
_SAMPLE = 100_000


Infos = dict[str, AnnotatorInfo]
"""Who makes which track."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """The annotators of a run."""

    pose: PoseAnnotator
    mask: MaskAnnotator
    depth: DepthAnnotator
    infos: Infos
    frames_at_once: int
    """How many frames travel together."""

    @classmethod
    def make(cls, options: PrepOptions) -> Tools:
        """Build what ``options`` name. Raises where an annotator is unknown or not installed."""
        infos = infos_of(options)
        device = Device(options.device)
        setting = Setting(device=device, weights=Weights(options.weights), polarity=options.depth_polarity)
        pose, mask = annotators.create_pair(options.pose, options.mask, setting)
        depth = annotators.create_depth(options.depth, setting, options.densepose)
        return cls(pose=pose, mask=mask, depth=depth, infos=infos, frames_at_once=device.frames_at_once)

    def close(self) -> None:
        """Let networks and their threads go."""
        for annotator in (self.pose, self.mask, self.depth):
            annotator.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """A clip after its first look, good enough to be made."""

    raw: RawClip
    clip_id: str
    look: ClipLook
    replay: Replay
    found: FirstLook
    crop: CropPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """How the second step ended: with the clip's record, or with why there is none."""

    looked: Looked
    outcome: ClipRecord | Rejected


@dataclass(frozen=True, slots=True)
class ClipMaker:
    """Makes clips with one set of tools. `look` raises `Rejected`; `finish` returns it, being on another thread."""

    tools: Tools
    writer: DatasetWriter
    options: PrepOptions

    def look(self, raw: RawClip, clip_id: str, replay: Replay, count: Callable[[int, int], None]) -> Looked:
        """Find the person in the frames of ``replay``.

        ``count`` hears after each chunk how many frames it had, and in how many somebody was found.
        """
        with rejecting("decode", "unreadable"):
            look = raw.look()
        looker = self._first_look(replay, count)
        self._check_length(replay)
        with rejecting("annotate", "failed"):
            found = smoothed(looker.result(), self.options.smooth)
            crop = plan(self.options.crop, found.boxes, replay.size, self.options.size, look.fps)
        self._check_quality(found, crop, replay)
        return Looked(raw=raw, clip_id=clip_id, look=look, replay=replay, found=found, crop=crop)

    def finish(self, looked: Looked) -> Made:
        """Cut, annotate depth and write. A full disk or the like raises: it concerns the whole run."""
        second = SecondLook.prepare(looked.found, looked.crop)
        scores: dict[str, float] = {}
        try:
            record = self.writer.write_clip(
                self._record(looked, scores),
                frames=self._frames(looked, second, scores),
                mask=second.mask,
                keypoints=second.pose.keypoints,
                depth=self._depth_track(second),
            )
        except Rejected as reject:
            return Made(looked=looked, outcome=reject)
        return Made(looked=looked, outcome=record)

    def _first_look(self, replay: Replay, count: Callable[[int, int], None]) -> FirstLooker:
        """Where an annotator fails, the shot is read to its end all the same: what lies behind it shall not be lost."""
        failure: Rejected | None = None
        with rejecting("annotate", "failed"):
            looker = FirstLooker(self.tools.pose, self.tools.mask, self.options.subject)
        with rejecting("decode", "failed"):
            for chunk in replay.first_look():
                try:
                    with rejecting("annotate", "failed"):
                        count(len(chunk.frames), looker.add(chunk) if failure is None else 0)
                except Rejected as reject:
                    failure = reject
        if failure is not None:
            raise failure
        return looker

    def _frames(self, looked: Looked, second: SecondLook, scores: dict[str, float]) -> Iterator[NDArray[np.uint8]]:
        """The cut frames, cut on a thread while the writer encodes them; fills mask, depth and scores on the way.

        The writer asks for frames first, and writes the record last: by then the other tracks and the scores are there.
        """
        meter = ClipMeter()
        with (
            rejecting("cut", "failed"),
            closing(ahead(second.parts(looked.replay.second_look(), self.tools.depth))) as parts,
        ):
            for part in parts:
                meter.add(second.mask[part], second.depth[part])
                yield from second.frames[part]
        scores |= meter.scores(second.pose.keypoints, looked.crop.resolution, self._depth_span(second))
        scores |= {"crowd": round(looked.found.crowd, 5), "cuts": float(looked.replay.cuts)}
        if looked.replay.skipped is not None:
            scores["skipped_frames"] = float(looked.replay.skipped)
        reason = why_reject(scores, looked.replay.frames, self.options.limits)
        if reason is not None:
            raise Rejected("quality", reason)
        scores |= {name: float(value) for name, value in looked.look.notes.items()}

    def _depth_span(self, second: SecondLook) -> float:
        """The depth range of the person, from a sample of all pixels."""
        inside = second.depth[(second.mask > 0) & np.isfinite(second.depth)]
        if not inside.size:
            raise Rejected("quality", f"no depth: {self.options.depth} gave no value on the person")
        sample = inside[:: max(1, inside.size // _SAMPLE)]
        return float(np.subtract(*np.percentile(sample, _STRAY_PERCENTILES[::-1])))

    def _record(self, looked: Looked, scores: dict[str, float]) -> ClipRecord:
        infos = self.tools.infos
        return ClipRecord(
            id=looked.clip_id,
            split=looked.raw.split,
            source=source_words(looked.raw),
            fps=looked.look.fps,
            start_frame=looked.replay.start,
            next_frame=looked.replay.next_frame,
            lost=_lost(looked.replay),
            approximate=approximate(infos),
            scores=scores,
            annotators={track: info.to_dict() for track, info in infos.items()},
        )

    def _depth_track(self, second: SecondLook) -> DepthTrack:
        depth = self.tools.depth
        return DepthTrack(
            values=second.depth, polarity=depth.polarity, scope=depth.scope, percentiles=_STRAY_PERCENTILES
        )

    def _check_length(self, replay: Replay) -> None:
        if replay.frames >= self.options.limits.min_frames:
            return
        if replay.broken:
            reason = f"truncated: only {replay.frames} frames from {replay.start} on are good; {replay.broken}"
            raise Rejected("decode", reason)
        raise Rejected("quality", f"too short: {replay.frames} frames, at least {self.options.limits.min_frames}")

    def _check_quality(self, found: FirstLook, crop: CropPlan, replay: Replay) -> None:
        scores = pose_scores(found.pose.keypoints) | {
            "mask_area": found.mask_part(crop.width * crop.height),
            "resolution": crop.resolution,
            "crowd": found.crowd,
            "cuts": float(replay.cuts),
        }
        reason = why_reject(scores, replay.frames, self.options.limits)
        if reason is not None:
            raise Rejected("quality", reason)


def infos_of(options: PrepOptions) -> Infos:
    """Who will make which track. Raises `DataError` for an unknown annotator, or one that the policy forbids."""
    weights = Weights(options.weights)
    infos = {track: annotators.describe(kind, name, weights) for track, (kind, name) in _makers(options).items()}
    annotators.check_licences(infos.values(), options.licences)
    return infos


def settled(source: Source, options: PrepOptions) -> PrepOptions:
    """The options with what depends on what the source ships.

    Raises:
        DataError: an annotator that the policy forbids (before anybody fetches its weights), or all missing weights.
    """
    own = replace(options, densepose=annotators.densepose_for(options.depth, source.ships))
    makers = _makers(own).values()
    annotators.check_licences((annotators.describe(kind, name) for kind, name in makers), own.licences)
    annotators.check_weights(makers, Weights(own.weights))
    return own


def _makers(options: PrepOptions) -> dict[str, tuple[Kind, str]]:
    """Kind and name of the annotator of each track."""
    makers: dict[str, tuple[Kind, str]] = {
        "keypoints": ("pose", options.pose),
        "mask": ("mask", options.mask),
        "depth": ("depth", options.depth),
    }
    if options.densepose:
        makers["densepose"] = "densepose", options.densepose
    return makers


def approximate(infos: Infos) -> tuple[str, ...]:
    """The tracks that only stand in for the real quantity."""
    return tuple(track for track, info in infos.items() if info.approximate)


def source_words(raw: RawClip) -> str:
    """Where a clip comes from, precise enough to see that its raw files have changed."""
    return f"{raw.origin} ({raw.stamp})"


def _lost(replay: Replay) -> str:
    """What is said of a video that broke off after enough good frames."""
    if not replay.broken:
        return ""
    end = replay.start + replay.frames
    return f"truncated: {replay.frames} good frames are kept, nothing after frame {end}; {replay.broken}"
