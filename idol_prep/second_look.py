"""The second look at a clip: every track cut along the same boxes, depth added, quality counted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.protocol import Batch, DepthAnnotator, PoseTrack, Relief
from idol_prep.crop import CropPlan, cut_depth, cut_mask, cut_picture, move_points, move_relief
from idol_prep.first_look import FirstLook
from idol_prep.pose import Keypoints
from idol_prep.quality import ClipMeter
from idol_prep.reading import CHUNK
from idol_prep.sources import RawFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class CutClip:
    """All tracks of one clip, cropped."""

    frames: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    depth: NDArray[np.float32]
    keypoints: Keypoints


def cut_clip(
    lists: Iterator[list[RawFrame]],
    found: FirstLook,
    crop: CropPlan,
    depth: DepthAnnotator,
    meter: ClipMeter,
    workers: Executor,
) -> CutClip:
    """Cut frames, masks and shipped depth on ``workers``, and let the depth annotator see the result in order."""
    length, (height, width) = len(found.masks), crop.size
    pose = _cropped_pose(found.pose, crop)
    clip = CutClip(
        frames=np.empty((length, height, width, 3), np.uint8),
        mask=np.empty((length, height, width), np.uint8),
        depth=np.empty((length, height, width), np.float32),
        keypoints=pose.keypoints,
    )
    depth.reset()
    for part, raw in zip(_slices(length), lists, strict=True):
        list(workers.map(lambda index, frame: _cut_one(clip, index, frame, found, crop), _indices(part), raw))
        clip.depth[part] = depth.depth(_batch(clip, part, pose, raw, crop))
        meter.add(clip.mask[part], clip.depth[part])
    return clip


def _cut_one(clip: CutClip, index: int, frame: RawFrame, found: FirstLook, crop: CropPlan) -> None:
    box = crop.box(index)
    clip.frames[index] = cut_picture(frame.rgb, box, crop.size)
    mask = found.masks[index].unpack()
    clip.mask[index] = cut_mask(mask, _scaled(box, frame.rgb.shape, mask.shape), crop.size)


def _batch(clip: CutClip, part: slice, pose: PoseTrack, raw: list[RawFrame], crop: CropPlan) -> Batch:
    relief = Relief(xy=pose.relief.xy[part], z=pose.relief.z[part]) if pose.relief else None
    return Batch(
        frames=clip.frames[part],
        shipped=_shipped_depth(part, raw, crop),
        pose=PoseTrack(keypoints=pose.keypoints.window(part.start, part.stop), relief=relief),
        mask=clip.mask[part],
    )


def _shipped_depth(part: slice, raw: list[RawFrame], crop: CropPlan) -> dict[str, NDArray]:
    if not all("depth" in frame.shipped for frame in raw):
        return {}
    cut = [
        cut_depth(depth, _scaled(crop.box(index), frame.rgb.shape, depth.shape), crop.size)
        for index, frame in zip(_indices(part), raw, strict=True)
        for depth in (frame.shipped["depth"],)
    ]
    return {"depth": np.stack(cut)}


def _cropped_pose(pose: PoseTrack, crop: CropPlan) -> PoseTrack:
    """The pose in pixels of the crop; a missing joint stays at (-1, -1)."""
    old = pose.keypoints
    xy = np.where(old.score[..., None] > 0, move_points(old.xy, crop), old.xy)
    keypoints = Keypoints(xy=xy, score=old.score, format=old.format)
    return PoseTrack(keypoints=keypoints, relief=move_relief(pose.relief, crop) if pose.relief else None)


def _scaled(
    box: tuple[float, float, float, float], frame: tuple[int, ...], track: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """A box of the frame in pixels of a track of another size."""
    across, down = track[1] / frame[1], track[0] / frame[0]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _indices(part: slice) -> range:
    return range(part.start, part.stop)


def _slices(length: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]
