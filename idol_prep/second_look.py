"""The second look at a clip: every track cut along the same boxes, depth added, part by part."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.protocol import Batch, DepthAnnotator, PoseTrack
from idol_prep.crop import CropPlan, Edges, cut_depth, cut_labels, cut_mask, cut_picture, move_points, move_relief
from idol_prep.first_look import FirstLook
from idol_prep.pose import Keypoints
from idol_prep.sources import RawFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondLook:
    """Cuts one clip. The arrays are there at once and fill up as `parts` is drawn from."""

    found: FirstLook
    crop: CropPlan
    pose: PoseTrack
    """In pixels of the crop."""
    frames: NDArray[np.uint8]
    """[L,H,W,3]."""
    mask: NDArray[np.uint8]
    """[L,H,W], 1 for the person."""
    depth: NDArray[np.float32]
    """[L,H,W], raw, NaN where there is none."""

    @classmethod
    def prepare(cls, found: FirstLook, crop: CropPlan) -> SecondLook:
        """Room for the clip, and its pose."""
        length = len(found.masks)
        return cls(
            found=found,
            crop=crop,
            pose=cropped_pose(found.pose, crop),
            frames=np.empty((length, *crop.size, 3), np.uint8),
            mask=np.empty((length, *crop.size), np.uint8),
            depth=np.empty((length, *crop.size), np.float32),
        )

    def parts(self, lists: Iterator[list[RawFrame]], depth: DepthAnnotator) -> Generator[slice]:
        """Cut the source's frames and let the annotator add their depth; yields which frames are done.

        Raises ValueError where the source gives another number of frames than at the first look.
        """
        depth.reset()
        start = 0
        for raw in lists:
            part = slice(start, start + len(raw))
            start = part.stop
            if start > len(self.frames):
                break
            for index, frame in zip(range(part.start, part.stop), raw, strict=True):
                self._cut(index, frame)
            self.depth[part] = depth.depth(self._batch(part, raw))
            yield part
        if start != len(self.frames):
            raise ValueError(f"the second reading has {start} frames or more, the first had {len(self.frames)}")

    def _cut(self, index: int, frame: RawFrame) -> None:
        box = self.crop.box(index)
        self.frames[index] = cut_picture(frame.rgb, box, self.crop.size)
        mask = self.found.masks[index].unpack()
        self.mask[index] = cut_mask(mask, _scaled(box, frame.rgb.shape, mask.shape), self.crop.size)

    def _batch(self, part: slice, raw: list[RawFrame]) -> Batch:
        pose = self.pose.part(part.start, part.stop)
        shipped = {track: self._shipped(track, part, raw) for track in _CUTTERS if _all_ship(track, raw)}
        return Batch(frames=self.frames[part], shipped=shipped, pose=pose, mask=self.mask[part])

    def _shipped(self, track: str, part: slice, raw: list[RawFrame]) -> NDArray:
        """A track that the source brings, cut along the boxes."""
        cut = []
        for index, frame in zip(range(part.start, part.stop), raw, strict=True):
            whole = frame.shipped[track]
            box = _scaled(self.crop.box(index), frame.rgb.shape, whole.shape)
            cut.append(_CUTTERS[track](whole, box, self.crop.size))
        return np.stack(cut)


_CUTTERS = {"depth": cut_depth, "densepose": cut_labels}
"""Tracks of the source that depth annotators may ask for, and how each is resampled."""


def _all_ship(track: str, raw: list[RawFrame]) -> bool:
    return all(track in frame.shipped for frame in raw)


def cropped_pose(pose: PoseTrack, crop: CropPlan) -> PoseTrack:
    """The pose in pixels of the crop; a missing joint stays at (-1, -1)."""
    old = pose.keypoints
    xy = np.where(old.score[..., None] > 0, move_points(old.xy, crop), old.xy)
    keypoints = Keypoints(xy=xy, score=old.score, format=old.format)
    return PoseTrack(keypoints=keypoints, relief=move_relief(pose.relief, crop) if pose.relief else None)


def _scaled(box: Edges, frame: tuple[int, ...], track: tuple[int, ...]) -> Edges:
    """A box of the frame in pixels of a track of another size."""
    across, down = track[1] / frame[1], track[0] / frame[0]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down
