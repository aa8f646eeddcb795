"""DWPose by ONNX Runtime: whole-body joints with hands and face, from the published yolox_l and dw-ll_ucoco_384 files.

People are found by YOLOX, then each is cut out, a quarter larger than his box, and seen by the pose network, which
answers with a distribution over columns and one over rows for each of 133 joints (SimCC; Yang et al., 2023). The
network was trained on RGB pictures; DWPose's own script feeds BGR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators import _onnx
from idol_prep.annotators._onnx import OnnxNetwork, missing
from idol_prep.annotators._yolox import PersonDetector
from idol_prep.annotators.protocol import AnnotatorInfo, Batch, PoseTrack
from idol_prep.pose import Keypoints
from idol_prep.pose.formats import mark_missing

if TYPE_CHECKING:
    from idol_prep.annotators import Setting

__all__ = ["DWPose", "describe", "missing"]

JOINTS = 133
_LARGER = 1.25
_SPLIT = 2.0
"""Bins of the distributions for each pixel of the network's input."""
_MEAN, _STD = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)

Box = NDArray[np.float32]


class DWPose:
    """Whole-body joints (COCO order, 133) of everybody in each frame, in pixels of the frame."""

    def __init__(self, setting: Setting) -> None:
        self.info = describe()
        self._detector = PersonDetector(OnnxNetwork(setting.weights.require("yolox"), setting.device))
        self._network = OnnxNetwork(setting.weights.require("dwpose"), setting.device)

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Sessions go with the object."""

    def pose(self, batch: Batch) -> PoseTrack:
        """Everybody's joints, [L,P,133]; a frame without people is a gap."""
        boxes = [self._detector.boxes(frame) for frame in batch.frames]
        views = [
            (index, slot, widened(box, self._network.size))
            for index, found in enumerate(boxes)
            for slot, box in enumerate(found)
        ]
        slots = max(1, *(len(found) for found in boxes))
        xy = np.full((len(boxes), slots, JOINTS, 2), -1, np.float32)
        score = np.zeros(xy.shape[:3], np.float32)
        if views:
            places, sure = self._joints(batch.frames, views)
            for (index, slot, _), one_xy, one_score in zip(views, places, sure, strict=True):
                xy[index, slot], score[index, slot] = mark_missing(one_xy, one_score)
        return PoseTrack(keypoints=Keypoints(xy=xy, score=score, format="wholebody133"))

    def _joints(
        self, frames: NDArray[np.uint8], views: list[tuple[int, int, Box]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Joints [n,133,2] in pixels of their frames, and scores [n,133]."""
        shown = np.stack([cut_out(frames[index], view, self._network.size) for index, _, view in views])
        columns, rows = self._network.run(shown)
        inside, score = peaks(columns, rows)
        views_n4 = np.stack([view for _, _, view in views])[:, None]
        scale = (views_n4[..., 2:] - views_n4[..., :2]) / np.array(self._network.size[::-1], np.float32)
        return inside * scale + views_n4[..., :2], score


def widened(box: Box, size: tuple[int, int]) -> Box:
    """The box a quarter larger, and of the network's proportions around the same centre."""
    centre, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * _LARGER
    across = size[1] / size[0]
    width, height = max(extent[0], extent[1] * across), max(extent[1], extent[0] / across)
    half = np.array([width, height], np.float32) / 2
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def cut_out(frame: NDArray[np.uint8], view: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """That part of an RGB frame as the network's input [3,h,w], normalised; black beyond the frame's edge."""
    from PIL import Image

    scale = (view[2:] - view[:2]) / np.array(size[::-1], np.float32)
    inverse = (float(scale[0]), 0.0, float(view[0]), 0.0, float(scale[1]), float(view[1]))
    picture = Image.fromarray(frame).transform(
        (size[1], size[0]), Image.Transform.AFFINE, inverse, resample=Image.Resampling.BILINEAR
    )
    return ((np.asarray(picture, np.float32) - _MEAN) / _STD).transpose(2, 0, 1)


def peaks(columns: NDArray[np.float32], rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Places [n,K,2] in pixels of the input and scores [n,K] from distributions [n,K,2w] and [n,K,2h].

    A joint is as sure as the less sure of its two distributions.
    """
    xy = np.stack([columns.argmax(axis=-1), rows.argmax(axis=-1)], axis=-1).astype(np.float32) / np.float32(_SPLIT)
    return xy, np.minimum(columns.max(axis=-1), rows.max(axis=-1))


def describe() -> AnnotatorInfo:
    """Version and licence, without importing ONNX Runtime."""
    return AnnotatorInfo(
        name="dwpose",
        kind="pose",
        version=_onnx.version(),
        licence="Apache-2.0",
        source="https://huggingface.co/yzd-v/DWPose",
        note="whole body with hands and face, 133 joints, several people",
    )
