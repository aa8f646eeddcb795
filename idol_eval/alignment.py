"""Does the depth lie on the video? Outline, edges and motion, judged in a band around the person.

Nothing of the model is used: a mask of the true clip, gradients, and an optical flow without weights. The true clips
have scores of their own, printed as the ceiling.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from idol_eval.flow import flow, gradients, grey

BAND = 0.02
"""Half width of the band: this share of the frame's diagonal, two pixels at least (Cheng et al. 2021, Boundary IoU)."""

_STILL = 0.05
"""Pixels a frame below which nothing moves: what the flow of a still picture may be off by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """Means over a clip's frames; None where it cannot be told (no outline in view, nothing moves)."""

    outline: float | None
    """Boundary IoU of the depth's silhouette and the mask: 1 is the same outline."""
    edges: float | None
    """Correlation of the edge strengths of video and depth inside the band: 1 is the same edges."""
    motion: float | None
    """Correlation of the flows of video and depth inside the band, where both can be followed."""


def alignment(
    video_LHW3: NDArray[np.uint8], depth_LHW: NDArray[np.floating], mask_LHW: NDArray[np.integer], limit: float
) -> Alignment:
    """Agreement of a clip's own video and depth about the person of ``mask`` (non-zero).

    Args:
        video_LHW3: uint8. depth_LHW: in [0, 1], the person below ``limit`` (`idol_eval.silhouette.threshold`).

    Raises:
        ValueError: shapes that differ, or NaN in the depth.
    """
    if not video_LHW3.shape[:3] == depth_LHW.shape == mask_LHW.shape:
        raise ValueError(
            f"alignment: video {video_LHW3.shape}, depth {depth_LHW.shape}, mask {mask_LHW.shape}; give equal shapes"
        )
    if not np.isfinite(depth_LHW).all():
        raise ValueError("alignment: depth holds NaN or infinity; fill pixels without depth before measuring")
    mask = torch.from_numpy(np.asarray(mask_LHW) > 0)
    depth, light = grey(depth_LHW), grey(video_LHW3)
    radius = band_radius(mask.shape[1], mask.shape[2])
    band = _band(mask, radius)
    return Alignment(
        outline=_outline(depth < limit, mask, radius),
        edges=_edges(light, depth, band),
        motion=_motion(light, depth, band) if len(mask) > 1 else None,
    )


def band_radius(height: int, width: int) -> int:
    """`BAND` in pixels."""
    return max(2, round(BAND * (height**2 + width**2) ** 0.5))


def _outline(shown: Tensor, mask: Tensor, radius: int) -> float | None:
    """Boundary IoU: of each shape, the part within ``radius`` of its own outline."""
    one, two = (shape & ~_grown(shape, -radius) for shape in (shown, mask))
    union = (one | two).sum(dim=(1, 2))
    common = (one & two).sum(dim=(1, 2))
    seen = union > 0
    return float((common[seen] / union[seen]).mean()) if seen.any() else None


def _edges(light: Tensor, depth: Tensor, band: Tensor) -> float | None:
    strengths = [torch.hypot(*gradients(x[:, None]))[:, 0] for x in (light, depth)]
    found = [_correlation(*(x[frame][band[frame]] for x in strengths)) for frame in range(len(band))]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _motion(light: Tensor, depth: Tensor, band: Tensor) -> float | None:
    """Mean of w u.v over the root of the means of w |u|^2 and w |v|^2; 0 where only one of the two moves."""
    one, two = flow(light), flow(depth)
    weight = (one.trust * two.trust).sqrt() * band[:-1]
    weight = weight / weight.sum().clamp(min=1e-12)
    dot = (weight * (one.uv * two.uv).sum(dim=1)).sum()
    speeds = [float((weight * (x.uv**2).sum(dim=1)).sum()) ** 0.5 for x in (one, two)]
    if max(speeds) < _STILL:
        return None
    return float(dot) / (speeds[0] * speeds[1]) if min(speeds) >= _STILL else 0.0


def _correlation(a: Tensor, b: Tensor) -> float | None:
    if len(a) < 2:
        return None
    a, b = (x.double() - x.double().mean() for x in (a, b))
    size = (a.square().sum() * b.square().sum()).sqrt()
    return float((a * b).sum() / size) if size > 1e-12 else None


def _band(mask: Tensor, radius: int) -> Tensor:
    return _grown(mask, radius) & ~_grown(mask, -radius)


def _grown(shape_LHW: Tensor, radius: int) -> Tensor:
    """Dilated by a square of ``radius``, or eroded where it is negative; the frame's edge is no outline."""
    if radius < 0:
        return ~_grown(~shape_LHW, -radius)
    side = 2 * radius + 1
    return F.max_pool2d(shape_LHW.float()[:, None], side, stride=1, padding=radius)[:, 0] > 0
