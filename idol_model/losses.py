"""Consistency losses between the video and the depth stream (Sec. 3.2), as pure functions.

Feature maps are [N, P, D]: N pictures, P = H*W positions, D features. Nothing here knows about networks.
All of it is computed in float32 with autocast off: the streams' fields differ by less than bfloat16 rounds.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

ConsistencyNorm = Literal["mean", "row"]
"""How squared differences become a loss: their mean over everything, or summed over the last axis and then averaged."""

NORMS: dict[ConsistencyNorm, Callable[[torch.Size], int]] = {
    "mean": lambda shape: shape.numel(),
    "row": lambda shape: shape[:-1].numel(),
}
"""What the sum of squared differences of arrays [..., last] is divided by.

``mean`` is Eq. 5 to the letter. Rows of fields and maps sum to 1, so it shrinks with the square of their length;
``row`` is the squared distance of two distributions and keeps its size at any resolution (``docs/deviations.md``).
"""

MAX_CELLS = {"cpu": 1 << 20, "cuda": 1 << 23}
"""Numbers of a motion field that L_mo holds at a time, by device; a field has P * P for each pair of frames.

On a CPU the 4 MB of a block stay in its cache. A GPU wants few large kernels, and 32 MB, of which a block's gradient
holds several at a time, are little beside a network's. Devices that are not named take the CPU's.
"""


def cost_volume(features_BLPD: Tensor) -> Tensor:
    """Cosine similarity between all positions of neighbouring frames (Eq. 3).

    Args:
        features_BLPD: [B, L, P, D] features of L >= 2 frames, any scale.

    Returns:
        [B, L-1, P, P]; entry (i, h) compares position i of frame l with position h of frame l+1, in [-1, 1].

    Raises:
        ValueError: fewer than two frames.
    """
    exact = torch.promote_types(features_BLPD.dtype, torch.float32)
    unit_BLPD = functional.normalize(_at_least_two_frames(features_BLPD).to(exact), dim=-1)
    with torch.autocast(features_BLPD.device.type, enabled=False):
        return unit_BLPD[:, :-1] @ unit_BLPD[:, 1:].transpose(-1, -2)


def motion_field(cost_BLPP: Tensor, tau: float) -> Tensor:
    """Where each position of a frame moves to in the next (Eq. 4): softmax of the cost volume over its last axis.

    Args:
        cost_BLPP: [..., P, P] from `cost_volume`.
        tau: temperature > 0; the paper takes 1 / sqrt(D_n).

    Returns:
        The same shape; non-negative, each row sums to 1.
    """
    if tau <= 0:
        raise ValueError(f"tau: {tau} is not positive; the paper takes 1 / sqrt(D)")
    return functional.softmax(cost_BLPP / tau, dim=-1)


def motion_consistency(
    video_BLPD: Tensor, depth_BLPD: Tensor, tau: float | None = None, norm: ConsistencyNorm = "mean"
) -> Tensor:
    """L_mo (Eq. 5): mean squared difference between the motion fields of the two streams.

    Args:
        video_BLPD: [B, L, P, D] self-attention features of the video stream.
        depth_BLPD: the same of the depth stream.
        tau: temperature of Eq. 4; None means 1 / sqrt(D) (App. B).
        norm: ``mean`` divides by all P * P numbers of a field; ``row`` sums over target positions and averages over
            clips, frame pairs and source positions (`NORMS`).

    Returns:
        A scalar >= 0, float32 also under autocast; 0 for streams that move alike. Gradients reach both streams.
    """
    _same_shape(video_BLPD, depth_BLPD)
    heat = video_BLPD.shape[-1] ** -0.5 if tau is None else tau
    _, _, positions, features = _at_least_two_frames(video_BLPD).shape
    video_MPD, video_next_MPD, depth_MPD, depth_next_MPD = (
        functional.normalize(stream_BLPD.float(), dim=-1)[:, frames].reshape(-1, positions, features)
        for stream_BLPD in (video_BLPD, depth_BLPD)
        for frames in (slice(None, -1), slice(1, None))
    )
    field = torch.Size((len(video_MPD), positions, positions))
    most = MAX_CELLS.get(video_BLPD.device.type, MAX_CELLS["cpu"])
    if field.numel() <= most:
        return _field_difference(video_MPD, video_next_MPD, depth_MPD, depth_next_MPD, heat) / NORMS[norm](field)
    total = video_BLPD.new_zeros((), dtype=torch.float32)
    for pairs, rows in _blocks(field, most):
        # Rows of a motion field are independent; each block is computed again for its gradient instead of held.
        block = (video_MPD[pairs, rows], video_next_MPD[pairs], depth_MPD[pairs, rows], depth_next_MPD[pairs])
        total = total + checkpoint(_field_difference, *block, heat, use_reentrant=False)
    return total / NORMS[norm](field)


def _blocks(field: torch.Size, most: int) -> Iterator[tuple[slice, slice]]:
    """Frame pairs and rows of each part of a field [M, P, P] that has at most ``most`` numbers, or one row."""
    pairs, positions, _ = field
    together = max(1, most // positions**2)
    rows = max(1, min(positions, most // positions))
    for pair in range(0, pairs, together):
        for row in range(0, positions, rows):
            yield slice(pair, pair + together), slice(row, row + rows)


def _field_difference(video: Tensor, video_next: Tensor, depth: Tensor, depth_next: Tensor, tau: float) -> Tensor:
    """Sum of the squared differences of two motion fields, from unit features of neighbouring frames [..., P, D]."""
    # Here and not around the caller, so that it also holds where a block is computed again in the backward pass.
    with torch.autocast(video.device.type, enabled=False):
        video_field = motion_field(video @ video_next.transpose(-1, -2), tau)
        depth_field = motion_field(depth @ depth_next.transpose(-1, -2), tau)
        return (video_field - depth_field).square().sum()


def cross_attention_consistency(video_NKPT: Tensor, depth_NKPT: Tensor, norm: ConsistencyNorm = "mean") -> Tensor:
    """L_xattn (Eq. 6): mean squared difference between the cross-attention maps of the two streams.

    Args:
        video_NKPT: [N, K, P, T] softmax maps of the video stream: pictures, heads, positions, condition tokens.
        depth_NKPT: the same of the depth stream.
        norm: ``mean`` divides by all numbers; ``row`` sums over tokens and averages over pictures, heads and
            positions (`NORMS`).

    Returns:
        A scalar >= 0, float32. Gradients reach both streams.
    """
    _same_shape(video_NKPT, depth_NKPT)
    return functional.mse_loss(video_NKPT.float(), depth_NKPT.float(), reduction="sum") / NORMS[norm](video_NKPT.shape)


def _at_least_two_frames(features_BLPD: Tensor) -> Tensor:
    if features_BLPD.ndim != 4 or features_BLPD.shape[1] < 2:
        raise ValueError(
            f"features_BLPD: expected [B, L >= 2, P, D], got {list(features_BLPD.shape)}; motion needs two frames"
        )
    return features_BLPD


def _same_shape(video: Tensor, depth: Tensor) -> None:
    if video.shape != depth.shape:
        raise ValueError(f"video and depth features differ in shape: {list(video.shape)} and {list(depth.shape)}")
