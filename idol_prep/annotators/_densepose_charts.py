"""From DensePose's maps of a box to a picture in the layout of its files: V, U and the number of the body part.

A file of the original tool is written as I, U, V by OpenCV, so its RGB channels are (V, U, I): both coordinates times
255, the part from 1 to 24, all three 0 where nobody is. The resampling is detectron2's (Guler et al., CVPR 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

PARTS = 24
"""Body parts that have a chart; 0 is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charts:
    """What the network says of N boxes, the surest first."""

    boxes: Tensor
    """Left, top, right, bottom float [N,4], pixels of the frame."""
    coarse: Tensor
    """Scores of background and body [N,K,h,w]; background is the first of K."""
    fine: Tensor
    """Scores of no part and of each part [N,25,h,w]."""
    u: Tensor
    """U on each part [N,25,h,w], 0 to 1."""
    v: Tensor
    """V on each part [N,25,h,w], 0 to 1."""

    def __len__(self) -> int:
        return len(self.boxes)


def picture(charts: Charts, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One person of a frame of ``size``, (V, U, part) uint8 [H,W,3]; 0 where he is not."""
    canvas = np.zeros((*size, 3), np.uint8)
    left, top, width, height = _whole_pixels(charts.boxes[index])
    parts, uv = _resampled(charts, index, (height, width))
    scaled = (uv.clamp(0, 1) * 255).to(torch.uint8)
    found = torch.stack([scaled[1], scaled[0], parts.to(torch.uint8)], dim=-1).cpu().numpy()
    # a box may reach beyond the frame, or lie there, where the network saw the frame's edges repeated
    y, x = max(top, 0), max(left, 0)
    inner = found[y - top : max(size[0] - top, 0), x - left : max(size[1] - left, 0)]
    canvas[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return canvas


def subject(charts: Charts, mask: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """The picture of the one among the ``most`` surest who covers the subject's ``mask`` [H,W] best, in its size.

    Best is the largest part of what either covers (intersection over union); nobody, and so all 0, where none touches.
    """
    size = (mask.shape[0], mask.shape[1])
    best, most_common = np.zeros((*size, 3), np.uint8), 0.0
    inside = mask > 0
    for index in range(min(len(charts), most)):
        found = picture(charts, index, size)
        common = _common(found[..., 2] > 0, inside)
        if common > most_common:
            best, most_common = found, common
    return best


def _common(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum()) / max(int((one | other).sum()), 1)


def _whole_pixels(box: Tensor) -> tuple[int, int, int, int]:
    """Left, top, width and height, each cut to whole pixels, at least one."""
    left, top, right, bottom = box.tolist()
    return int(left), int(top), max(int(right - left), 1), max(int(bottom - top), 1)


def _resampled(charts: Charts, index: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Part of each pixel of a box [h,w], and (U, V) [2,h,w] on that part, 0 where there is none."""
    one = slice(index, index + 1)
    coarse, fine, u, v = (
        functional.interpolate(maps[one].float(), size, mode="bilinear", align_corners=False)[0]
        for maps in (charts.coarse, charts.fine, charts.u, charts.v)
    )
    parts = fine.argmax(dim=0) * (coarse.argmax(dim=0) > 0)
    uv = torch.stack([maps.gather(0, parts[None])[0] for maps in (u, v)])
    return parts, uv * (parts > 0)
