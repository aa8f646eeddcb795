"""Frames to a network's size, in floats, never rounded in between. Each way has a name; rows carry it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Resizer: TypeAlias = Callable[[NDArray[np.uint8], int], Tensor]
"""uint8 [L, H, W, 3] and a side to float32 [L, 3, side, side] in levels 0..255."""


def bicubic_antialias(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """uint8 [L, H, W, 3] to float32 [L, 3, size, size]; overshoot past 0..255 is kept.

    PIL's bicubic on float channels (DisCo's way), to within 1e-3 of a level. The aspect is squashed.
    """
    x_LCHW = _floats(frames_LHW3)
    return F.interpolate(x_LCHW, size=(size, size), mode="bicubic", antialias=True, align_corners=False)


def bicubic_clipped(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """`bicubic_antialias` with overshoot cut off at 0 and 255: what clean-fid does."""
    return bicubic_antialias(frames_LHW3, size).clamp_(0, 255)


def bilinear(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """uint8 [L, H, W, 3] to float32 [L, 3, size, size] without antialiasing: what pytorch-fid does."""
    return F.interpolate(_floats(frames_LHW3), size=(size, size), mode="bilinear", align_corners=False)


def bilinear_crop(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """The shorter side to ``size``, bilinear without antialiasing, then the centre: what StyleGAN-V's FVD does."""
    height, width = frames_LHW3.shape[1:3]
    scale = size / min(height, width)
    target = (size, max(size, int(width * scale))) if height < width else (max(size, int(height * scale)), size)
    x_LCHW = F.interpolate(_floats(frames_LHW3), size=target, mode="bilinear", align_corners=False)
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return x_LCHW[:, :, top : top + size, left : left + size].contiguous()


def bilinear_corner(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """Bilinear with pixels' corners as their places, as TensorFlow 1 does: torch-fidelity's way.

    Output pixel i reads at i * old / size; beyond the last pixel the last one stays.
    """
    x_LCHW = _floats(frames_LHW3)
    for axis in (2, 3):
        x_LCHW = _corner_axis(x_LCHW, axis, size)
    return x_LCHW


RESIZERS: Mapping[str, Resizer] = MappingProxyType(
    {
        "bicubic-antialias": bicubic_antialias,
        "bicubic-clipped": bicubic_clipped,
        "bilinear": bilinear,
        "bilinear-crop": bilinear_crop,
        "bilinear-corner": bilinear_corner,
    }
)
"""By the names that protocols use."""


def _corner_axis(x: Tensor, axis: int, size: int) -> Tensor:
    old = x.shape[axis]
    place = torch.arange(size, dtype=torch.float32) * (old / size)
    low = place.floor().long().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    part = (place - low).view(-1, *(1,) * (x.ndim - 1 - axis))
    below = x.index_select(axis, low)
    return below + (x.index_select(axis, high) - below) * part


def _floats(frames_LHW3: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames_LHW3, -1, 1))).float()
