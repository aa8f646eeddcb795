"""The first look at a clip: where the person is in each frame, kept small."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.protocol import Batch, MaskAnnotator, PoseAnnotator, PoseTrack, Relief
from idol_prep.crop import Edges, mask_box, subject_boxes
from idol_prep.pose import Keypoints
from idol_prep.reading import Chunk


@dataclass(frozen=True, slots=True)
class PackedMask:
    """A coverage mask [H,W], deflated: some kilobytes instead of some hundred."""

    shape: tuple[int, int]
    data: bytes

    @classmethod
    def pack(cls, mask: NDArray[np.uint8]) -> PackedMask:
        return cls((mask.shape[0], mask.shape[1]), zlib.compress(mask.tobytes(), 1))

    def unpack(self) -> NDArray[np.uint8]:
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstLook:
    """What the first look found, in pixels of the source frames."""

    pose: PoseTrack
    masks: list[PackedMask]
    """At whatever size the annotator or the dataset made them."""
    boxes: NDArray[np.float64]
    """The person's left, top, right, bottom, [L,4]; NaN where there is none."""
    areas: NDArray[np.float64]
    """Pixels of the person in each frame, [L]."""

    def mask_part(self, crop_area: float) -> float:
        """Mean part of a crop of that many source pixels that is the person."""
        return float(self.areas.mean()) / crop_area


class FirstLooker:
    """Runs the pose and mask annotators over one clip's chunks and gathers what they say."""

    def __init__(self, pose: PoseAnnotator, mask: MaskAnnotator) -> None:
        self._pose, self._mask = pose, mask
        self._poses: list[PoseTrack] = []
        self._masks: list[PackedMask] = []
        self._boxes: list[Edges] = []
        self._areas: list[float] = []
        pose.reset()
        mask.reset()

    def add(self, chunk: Chunk) -> int:
        """Annotate one chunk; returns in how many of its frames somebody was found."""
        batch = Batch(frames=chunk.small, shipped=_shipped_masks(chunk))
        track = in_source_pixels(self._pose.pose(batch), chunk.factor)
        self._poses.append(track)
        for mask in self._mask.mask(batch):
            self._masks.append(PackedMask.pack(mask))
            scale = chunk.frames[0].rgb.shape[0] / mask.shape[0]
            self._boxes.append(mask_box(mask, scale))
            self._areas.append(float(np.count_nonzero(mask > 127)) * scale**2)
        return int((track.keypoints.score > 0).any(axis=(1, 2)).sum())

    def result(self) -> FirstLook:
        """All chunks as one clip."""
        pose = joined(self._poses)
        boxes = subject_boxes(pose.keypoints, np.array(self._boxes, np.float64))
        return FirstLook(pose=pose, masks=self._masks, boxes=boxes, areas=np.array(self._areas))


def in_source_pixels(track: PoseTrack, factor: int) -> PoseTrack:
    """A pose found on frames reduced by ``factor``, on the frames themselves."""
    if factor == 1:
        return track
    old = track.keypoints
    xy = np.where(old.score[..., None] > 0, old.xy * np.float32(factor), old.xy)
    keypoints = Keypoints(xy=xy, score=old.score, format=old.format)
    relief = Relief(xy=track.relief.xy * np.float32(factor), z=track.relief.z) if track.relief else None
    return PoseTrack(keypoints=keypoints, relief=relief)


def joined(tracks: list[PoseTrack]) -> PoseTrack:
    """Consecutive pose tracks as one."""
    keypoints = [track.keypoints for track in tracks]
    reliefs = [track.relief for track in tracks if track.relief is not None]
    return PoseTrack(
        keypoints=Keypoints(
            xy=np.concatenate([part.xy for part in keypoints]),
            score=np.concatenate([part.score for part in keypoints]),
            format=keypoints[0].format,
        ),
        relief=Relief(xy=np.concatenate([part.xy for part in reliefs]), z=np.concatenate([part.z for part in reliefs]))
        if len(reliefs) == len(tracks)
        else None,
    )


def _shipped_masks(chunk: Chunk) -> dict[str, NDArray]:
    if not all("mask" in frame.shipped for frame in chunk.frames):
        return {}
    return {"mask": np.stack([frame.shipped["mask"] for frame in chunk.frames])}
