"""Frames to a network's size, in floats, never rounded in between."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def bicubic_antialias(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """uint8 [L, H, W, 3] to float32 [L, 3, size, size]; overshoot past 0..255 is kept.

    PIL's bicubic on float channels (DisCo's way), to within 1e-3 of a level. The aspect is squashed.
    """
    x_LCHW = _floats(frames_LHW3)
    return F.interpolate(x_LCHW, size=(size, size), mode="bicubic", antialias=True, align_corners=False)


def bilinear(frames_LHW3: NDArray[np.uint8], size: int) -> Tensor:
    """uint8 [L, H, W, 3] to float32 [L, 3, size, size] without antialiasing: what pytorch-fid does."""
    return F.interpolate(_floats(frames_LHW3), size=(size, size), mode="bilinear", align_corners=False)


def _floats(frames_LHW3: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames_LHW3, -1, 1))).float()
