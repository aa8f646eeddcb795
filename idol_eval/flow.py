"""Optical flow without weights: pyramidal Lucas-Kanade, so that a score of motion leans on no network."""

from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)
_LEAST_SIDE = 16
_ROUNDS = 5
_SMOOTH = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """From each frame to the next: ``uv`` float32 [L-1, 2, H, W] in pixels (x, y), ``trust`` [L-1, H, W].

    ``trust`` is the smaller eigenvalue of the gradients' second moments: 0 where nothing can be followed.
    """

    uv: Tensor
    trust: Tensor


def grey(frames: NDArray) -> Tensor:
    """uint8 [L, H, W, 3] or float [L, H, W] to float32 [L, H, W] in 0..1 (depth is taken as it is)."""
    x = torch.from_numpy(frames.copy())
    return x.float() @ torch.tensor(_LUMA) / 255 if x.ndim == 4 else x.float()


@torch.no_grad()
def flow(grey_LHW: Tensor, window: int = 9) -> Flow:
    """Flow between neighbouring frames of float [L, H, W], L at least 2.

    Raises:
        ValueError: fewer than two frames.
    """
    if len(grey_LHW) < 2:
        raise ValueError(f"flow needs 2 frames at least, got {len(grey_LHW)}")
    pyramid = [grey_LHW[:, None]]
    while min(pyramid[-1].shape[-2:]) >= 2 * _LEAST_SIDE and len(pyramid) < 5:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    uv = torch.zeros(len(grey_LHW) - 1, 2, *pyramid[-1].shape[-2:])
    trust = uv[:, 0]
    for level in reversed(pyramid):
        size = level.shape[-2:]
        if uv.shape[-2:] != size:
            uv = 2 * F.interpolate(uv, size=tuple(size), mode="bilinear", align_corners=False)
        uv, trust = _refined(level[:-1], level[1:], uv, window)
    return Flow(uv=uv, trust=trust)


def warp(x_NCHW: Tensor, uv_N2HW: Tensor) -> Tensor:
    """``x`` read where the flow leads: frame t + 1 laid over frame t. Beyond the edge the edge stays."""
    height, width = x_NCHW.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = (columns + uv_N2HW[:, 0]) * (2 / max(width - 1, 1)) - 1
    y = (rows + uv_N2HW[:, 1]) * (2 / max(height - 1, 1)) - 1
    return F.grid_sample(x_NCHW, torch.stack([x, y], dim=-1), padding_mode="border", align_corners=True)


def _refined(before: Tensor, after: Tensor, uv: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Gauss-Newton steps of the windowed brightness constancy."""
    gx, gy = gradients(before)
    xx, xy, yy = (_box(product, window) for product in (gx * gx, gx * gy, gy * gy))
    trace, determinant = xx + yy, xx * yy - xy * xy
    damped = determinant + 1e-6 * trace + 1e-9
    for _ in range(_ROUNDS):
        change = warp(after, uv) - before
        bx, by = _box(gx * change, window), _box(gy * change, window)
        step = torch.cat([xy * by - yy * bx, xy * bx - xx * by], dim=1) / damped
        uv = _box(uv + step.clamp(-2, 2), _SMOOTH)  # neighbours that disagree would pull each other apart
    least = trace / 2 - ((trace / 2) ** 2 - determinant).clamp(min=0).sqrt()
    return uv, least[:, 0].clamp(min=0)


def gradients(x_N1HW: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences in x and y, edges repeated."""
    padded = F.pad(x_N1HW, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return gx, gy


def _box(x: Tensor, window: int) -> Tensor:
    """Mean over a square about each pixel, one axis after the other."""
    half = window // 2
    x = F.avg_pool2d(x, (window, 1), stride=1, padding=(half, 0), count_include_pad=False)
    return F.avg_pool2d(x, (1, window), stride=1, padding=(0, half), count_include_pad=False)
