"""PSNR and SSIM of a clip's frames."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_LUMA = (0.299, 0.587, 0.114)


def psnr(pred: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays of one shape, such as [L, H, W, 3].

    From the squared error of the whole clip (not the mean of frames' values, which one identical frame would make
    infinite). Infinite for identical clips.

    Raises:
        ValueError: not uint8, or shapes that differ.
    """
    _check(pred, target)
    mse = float(np.mean((pred.astype(np.float64) - target) ** 2))
    return float("inf") if mse == 0 else 10 * float(np.log10(255**2 / mse))


def ssim(pred: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Structural similarity of the luma of uint8 [L, H, W, 3], mean over frames; 1 is identical.

    Windows of 7 x 7 with equal weights, sample covariance, borders left out: scikit-image's default, as DisCo uses it
    on grey pictures.

    Raises:
        ValueError: not uint8, shapes that differ, or frames smaller than the window.
    """
    _check(pred, target)
    if min(pred.shape[1:3]) < _WINDOW:
        raise ValueError(f"SSIM: frames of {pred.shape[2]} x {pred.shape[1]} are smaller than its window, {_WINDOW}")
    return float(np.mean([_ssim_frame(_luma(a), _luma(b)) for a, b in zip(pred, target, strict=True)]))


def _ssim_frame(x: Tensor, y: Tensor) -> float:
    count = _WINDOW**2
    unbiased = count / (count - 1)
    mean_x, mean_y = _box(x), _box(y)
    var_x = unbiased * (_box(x * x) - mean_x**2)
    var_y = unbiased * (_box(y * y) - mean_y**2)
    covariance = unbiased * (_box(x * y) - mean_x * mean_y)
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float((likeness / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))).mean())


def _box(x: Tensor) -> Tensor:
    return F.avg_pool2d(x[None, None], _WINDOW, stride=1)[0, 0]


def _luma(frame: NDArray[np.uint8]) -> Tensor:
    """BT.601 luma rounded to 0..255, float64 [H, W]."""
    return torch.from_numpy(np.rint(frame.astype(np.float64) @ np.array(_LUMA)))


def _check(pred: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    if pred.dtype != np.uint8 or target.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 (0 to 255), got {pred.dtype} and {target.dtype}")
    if pred.shape != target.shape:
        raise ValueError(f"frames of {pred.shape} against {target.shape}: give equal sizes and counts")
