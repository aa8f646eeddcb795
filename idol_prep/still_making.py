"""One candidate to one sample: read, filter, mask, filter again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from idol_prep import annotators
from idol_prep._rejecting import Rejected, rejecting
from idol_prep.annotators import Setting
from idol_prep.annotators.device import Device
from idol_prep.annotators.protocol import AnnotatorInfo, Batch, MaskAnnotator, PoseAnnotator, PoseTrack
from idol_prep.annotators.weights import Weights
from idol_prep.crop import mask_box
from idol_prep.schema import Reject, StillRecord
from idol_prep.still_options import NOBODY, StillLimits, StillOptions, why_reject
from idol_prep.stills import EncodedStill, Outcome, binary_mask, encode_picture

if TYPE_CHECKING:
    from idol_prep.sources.pictures import RawPicture, SeenPicture

_SEEN = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class StillMaker:
    """Makes samples with one set of annotators; ``pose`` is None where nobody counts people."""

    mask: MaskAnnotator
    pose: PoseAnnotator | None
    limits: StillLimits

    @classmethod
    def make(cls, options: StillOptions) -> StillMaker:
        """Build what ``options`` name. Raises where an annotator is unknown or not installed."""
        setting = Setting(device=Device(options.device), weights=Weights(options.weights))
        if options.pose == NOBODY:
            return cls(mask=annotators.create_mask(options.mask, setting), pose=None, limits=options.limits)
        pose, mask = annotators.create_pair(options.pose, options.mask, setting)
        return cls(mask=mask, pose=pose, limits=options.limits)

    def close(self) -> None:
        """Let the networks go."""
        for annotator in (self.mask, self.pose):
            if annotator is not None:
                annotator.close()

    def outcome(self, raw: RawPicture) -> Outcome:
        """The sample, or why there is none."""
        try:
            return self._sample(raw)
        except Rejected as why:
            return Reject(id=raw.key, source=raw.origin, stage=why.stage, reason=why.reason)

    def _sample(self, raw: RawPicture) -> EncodedStill:
        with rejecting("decode", "unreadable"):
            seen = raw.read()
        scores = picture_scores(seen)
        self._check(scores)
        with rejecting("annotate", "failed"):
            mask, people = self._annotated(seen)
        scores |= mask_scores(mask) | ({} if people is None else {"people": float(people)}) | dict(seen.notes)
        self._check(scores)
        with rejecting("write", "unfit"):
            height, width = mask.shape
            box = mask_box(mask, 1.0)
            record = StillRecord(
                key=raw.key, source=raw.origin, height=height, width=width, box=box, scores=dict(sorted(scores.items()))
            )
        return EncodedStill(
            record=record, suffix=seen.suffix, picture=seen.file or encode_picture(seen.rgb), mask=encode_picture(mask)
        )

    def _annotated(self, seen: SeenPicture) -> tuple[NDArray[np.uint8], int | None]:
        """The person's mask, and how many people there are."""
        shipped = {name: track[None] for name, track in seen.shipped.items()}
        frames = seen.rgb[None]
        track: PoseTrack | None = None
        if self.pose is not None:
            self.pose.reset()
            track = self.pose.pose(Batch(frames=frames, shipped=shipped))
        self.mask.reset()
        layers = self.mask.mask(Batch(frames=frames, shipped=shipped, pose=track))[0]
        return _largest(layers), _people(seen, track, layers)

    def _check(self, scores: dict[str, float]) -> None:
        if scores.get("area") == 0:
            raise Rejected("quality", "no person: the mask is empty")
        reason = why_reject(scores, self.limits)
        if reason is not None:
            raise Rejected("quality", reason)


def infos_of(options: StillOptions) -> dict[str, AnnotatorInfo]:
    """Who will make what. Raises `DataError` for an unknown annotator, or one that the policy forbids."""
    weights = Weights(options.weights)
    infos = {"mask": annotators.describe("mask", options.mask, weights)}
    if options.pose != NOBODY:
        infos["people"] = annotators.describe("pose", options.pose, weights)
    annotators.check_licences(infos.values(), options.licences)
    return infos


def picture_scores(seen: SeenPicture) -> dict[str, float]:
    """What can be said before anybody is looked for."""
    sides = sorted(seen.rgb.shape[:2])
    scores = {"side": float(sides[0]), "aspect": round(sides[1] / sides[0], 5)}
    return scores | ({} if seen.people is None else {"people": float(seen.people)})


def mask_scores(mask: NDArray[np.uint8]) -> dict[str, float]:
    """What a mask [H,W] of 0 and 255 says of the person's size, shape and place."""
    area = float((mask > 0).mean())
    if area == 0:
        return {"area": 0.0}
    left, top, right, bottom = mask_box(mask, 1.0)
    height, width = bottom - top, right - left
    cut = sum(bool(edge.any()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return {"area": round(area, 5), "person": max(height, width), "tall": round(height / width, 5), "cut": float(cut)}


def _largest(layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The only layer [H,W], or of a layer a person [P,H,W] the largest; empty where there is none."""
    if layers.ndim == 2:
        return binary_mask(layers)
    if not len(layers):
        return np.zeros(layers.shape[1:], np.uint8)
    return binary_mask(layers[int(np.argmax((layers > 127).sum(axis=(1, 2))))])


def _people(seen: SeenPicture, track: PoseTrack | None, layers: NDArray[np.uint8]) -> int | None:
    """By the dataset, else by the poses, else by the mask's layers; None where nobody counts."""
    if seen.people is not None:
        return seen.people
    if track is not None:
        return int((track.keypoints.score[0] >= _SEEN).any(axis=1).sum())
    return len(layers) if layers.ndim == 3 else None
