"""The first look at a clip: where the person is in each frame, kept small."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.protocol import Batch, MaskAnnotator, PoseAnnotator, PoseTrack, Relief
from idol_prep.crop import Edges, mask_box, subject_boxes
from idol_prep.pose import Keypoints, SubjectPolicy, crowd, follow, smooth, to_openpose18
from idol_prep.reading import Chunk

_SEEN = 0.3


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


@dataclass(frozen=True, slots=True)
class Layer:
    """One person's mask in one frame, with his box and area in pixels of the source frame."""

    mask: PackedMask
    scale: float
    """Source pixels for each pixel of the mask along one side."""
    box: Edges
    area: float

    @classmethod
    def of(cls, mask: NDArray[np.uint8], height: int) -> Layer:
        """A mask [h,w] of a frame that is ``height`` pixels high."""
        scale = height / mask.shape[0]
        return cls(PackedMask.pack(mask), scale, mask_box(mask, scale), float(np.count_nonzero(mask > 127)) * scale**2)

    def holds(self, joints: NDArray[np.float32]) -> float:
        """Part of the joints [n,2], in source pixels, that lie on it."""
        mask = self.mask.unpack()
        at = np.clip((joints / self.scale).astype(int), 0, np.array(mask.shape)[::-1] - 1)
        return float((mask[at[:, 1], at[:, 0]] > 127).mean()) if len(joints) else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstLook:
    """What the first look found of the subject, in pixels of the source frames."""

    pose: PoseTrack
    masks: list[PackedMask]
    """At whatever size the annotator or the dataset made them."""
    boxes: NDArray[np.float64]
    """The person's left, top, right, bottom, [L,4]; NaN where there is none."""
    areas: NDArray[np.float64]
    """Pixels of the person in each frame, [L]."""
    crowd: float
    """Part of the frames with more than one person."""

    def mask_part(self, crop_area: float) -> float:
        """Mean part of a crop of that many source pixels that is the person."""
        return float(self.areas.mean()) / crop_area


class FirstLooker:
    """Runs the pose and mask annotators over one clip's chunks and gathers what they say."""

    def __init__(self, pose: PoseAnnotator, mask: MaskAnnotator, policy: SubjectPolicy = "largest") -> None:
        self._pose, self._mask = pose, mask
        self._policy: SubjectPolicy = policy
        self._poses: list[PoseTrack] = []
        self._layers: list[list[Layer]] = []
        self._size: tuple[int, int] = (1, 1)
        pose.reset()
        mask.reset()

    def add(self, chunk: Chunk) -> int:
        """Annotate one chunk; returns in how many of its frames somebody was found."""
        batch = Batch(frames=chunk.small, shipped=_shipped_masks(chunk))
        track = self._pose.pose(batch)
        masks = self._mask.mask(Batch(frames=chunk.small, shipped=batch.shipped, pose=track))
        height, width, _ = chunk.frames[0].rgb.shape
        self._size = height, width
        self._poses.append(in_source_pixels(track, chunk.factor))
        self._layers += [[Layer.of(mask, self._size[0]) for mask in _layered(some)] for some in masks]
        return int((track.keypoints.score > 0).any(axis=(1, 2)).sum())

    def result(self) -> FirstLook:
        """All chunks as one clip, of one subject."""
        everybody = joined(self._poses)
        subject = follow(everybody.keypoints, self._size, self._policy)
        body = to_openpose18(subject)
        chosen = [_subjects(layers, body, index) for index, layers in enumerate(self._layers)]
        boxes = np.array([layer.box for layer in chosen], np.float64)
        return FirstLook(
            pose=PoseTrack(keypoints=subject, relief=everybody.relief),
            masks=[layer.mask for layer in chosen],
            boxes=subject_boxes(body, boxes),
            areas=np.array([layer.area for layer in chosen]),
            crowd=crowd(everybody.keypoints),
        )


def smoothed(found: FirstLook, sigma: float) -> FirstLook:
    """The same with the subject's joints smoothed over time (``sigma`` in frames, 0 for none); gaps stay gaps."""
    if sigma == 0:
        return found
    keypoints = smooth(found.pose.keypoints, sigma).keypoints
    return replace(found, pose=PoseTrack(keypoints=keypoints, relief=found.pose.relief))


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
    """Consecutive pose tracks as one, with as many people as the fullest has."""
    people = max(track.keypoints.people for track in tracks)
    keypoints = [_widened(track.keypoints, people) for track in tracks]
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


def _widened(keypoints: Keypoints, people: int) -> Keypoints:
    room = people - keypoints.people
    if not room:
        return keypoints
    xy = np.pad(keypoints.xy, ((0, 0), (0, room), (0, 0), (0, 0)), constant_values=-1)
    return Keypoints(xy=xy, score=np.pad(keypoints.score, ((0, 0), (0, room), (0, 0))), format=keypoints.format)


def _layered(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One frame's masks: the only one [H,W], or a layer a person [P,H,W] and an empty one for where he is not seen."""
    return masks[None] if masks.ndim == 2 else np.pad(masks, ((0, 1), (0, 0), (0, 0)))


def _subjects(layers: list[Layer], body: Keypoints, frame: int) -> Layer:
    """The layer that holds most of the subject's joints, the last and empty one where none does."""
    if len(layers) == 1:
        return layers[0]
    joints = body.xy[frame, 0][body.score[frame, 0] >= _SEEN]
    parts = [layer.holds(joints) for layer in layers]
    return layers[int(np.argmax(parts))] if max(parts) > 0 else layers[-1]


def _shipped_masks(chunk: Chunk) -> dict[str, NDArray]:
    if not all("mask" in frame.shipped for frame in chunk.frames):
        return {}
    return {"mask": np.stack([frame.shipped["mask"] for frame in chunk.frames])}
