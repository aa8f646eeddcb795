"""The reference as the model sees it: the centred square, scaled to the samples' side.

Frames are scaled by antialiased bilinear interpolation, depth and masks by nearest neighbours (no value is invented at
an edge), exactly as clips are read for training.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from idol_eval.samples import EvalClip
from idol_prep.pose import Keypoints

T = TypeVar("T", bound=np.generic)


def fitting(size: int | None) -> Callable[[EvalClip], EvalClip]:
    """`centre_square` for one size; None leaves clips as they are."""
    return (lambda clip: clip) if size is None else (lambda clip: centre_square(clip, size))


def centre_square(clip: EvalClip, size: int) -> EvalClip:
    """``clip`` with every track cut to the centred square and scaled to ``size`` x ``size``."""
    return replace(
        clip,
        video=None if clip.video is None else _frames(clip.video, size),
        depth=None if clip.depth is None else _values(clip.depth, size),
        mask=None if clip.mask is None else _values(clip.mask, size),
        background=None if clip.background is None else _frames(clip.background[None], size)[0],
        keypoints=None if clip.keypoints is None else _joints(clip.keypoints, clip.shape[1:], size),
    )


def _joints(keypoints: Keypoints, frame: tuple[int, ...], size: int) -> Keypoints:
    """Joints in pixels of the centred square; missing ones stay where they are."""
    height, width = frame
    side = min(height, width)
    corner = np.array([(width - side) // 2, (height - side) // 2], np.float32)
    moved = (keypoints.xy - corner) * np.float32(size / side)
    xy = np.where(keypoints.score[..., None] > 0, moved, keypoints.xy).astype(np.float32)
    return Keypoints(xy=xy, score=keypoints.score, format=keypoints.format)


def _frames(frames_LHW3: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    square = _square(frames_LHW3)
    if square.shape[1] == size:
        return square
    x_LCHW = torch.tensor(square).movedim(-1, 1)
    scaled = F.interpolate(x_LCHW, size=(size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(scaled.movedim(1, -1).numpy())


def _values(values_LHW: NDArray[T], size: int) -> NDArray[T]:
    square = _square(values_LHW)
    if square.shape[1] == size:
        return square
    x_LCHW = torch.tensor(square)[:, None]
    return F.interpolate(x_LCHW, size=(size, size), mode="nearest-exact")[:, 0].numpy()


def _square(array_LHW: NDArray[T]) -> NDArray[T]:
    height, width = array_LHW.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(array_LHW[:, top : top + side, left : left + side])
