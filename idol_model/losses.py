"""Consistency losses between the video and the depth stream (Sec. 3.2), as pure functions.

Feature maps are [N, P, D]: N pictures, P = H*W positions, D features. Nothing here knows about networks.
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MOST_CELLS = 1 << 20
"""Numbers of one motion field that L_mo holds at a time; a field has P * P for each pair of frames."""


def cost_volume(features_BLPD: Tensor) -> Tensor:
    """Cosine similarity between all positions of neighbouring frames (Eq. 3).

    Args:
        features_BLPD: [B, L, P, D] features of L >= 2 frames, any scale.

    Returns:
        [B, L-1, P, P]; entry (i, h) compares position i of frame l with position h of frame l+1, in [-1, 1].

    Raises:
        ValueError: fewer than two frames.
    """
    unit_BLPD = functional.normalize(_at_least_two_frames(features_BLPD), dim=-1)
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


def motion_consistency(video_BLPD: Tensor, depth_BLPD: Tensor, tau: float | None = None) -> Tensor:
    """L_mo (Eq. 5): mean squared difference between the motion fields of the two streams.

    Args:
        video_BLPD: [B, L, P, D] self-attention features of the video stream.
        depth_BLPD: the same of the depth stream.
        tau: temperature of Eq. 4; None means 1 / sqrt(D) (App. B).

    Returns:
        A scalar >= 0; 0 for streams that move alike. Gradients reach both streams.
    """
    _same_shape(video_BLPD, depth_BLPD)
    heat = video_BLPD.shape[-1] ** -0.5 if tau is None else tau
    _, _, positions, features = _at_least_two_frames(video_BLPD).shape
    video_MPD, video_next_MPD, depth_MPD, depth_next_MPD = (
        functional.normalize(stream_BLPD.float(), dim=-1)[:, frames].reshape(-1, positions, features)
        for stream_BLPD in (video_BLPD, depth_BLPD)
        for frames in (slice(None, -1), slice(1, None))
    )
    cells = len(video_MPD) * positions * positions
    if cells <= MOST_CELLS:
        return _field_difference(video_MPD, video_next_MPD, depth_MPD, depth_next_MPD, heat) / cells
    rows = max(1, MOST_CELLS // positions)
    total = video_BLPD.new_zeros((), dtype=torch.float32)
    for video, video_next, depth, depth_next in zip(video_MPD, video_next_MPD, depth_MPD, depth_next_MPD, strict=True):
        for video_RD, depth_RD in zip(video.split(rows), depth.split(rows), strict=True):
            # Rows of a motion field are independent; each block is computed again for its gradient instead of held.
            block = (video_RD, video_next, depth_RD, depth_next)
            total = total + checkpoint(_field_difference, *block, heat, use_reentrant=False)
    return total / cells


def _field_difference(video: Tensor, video_next: Tensor, depth: Tensor, depth_next: Tensor, tau: float) -> Tensor:
    """Sum of the squared differences of two motion fields, from unit features of neighbouring frames [..., P, D]."""
    video_field = motion_field(video @ video_next.transpose(-1, -2), tau)
    depth_field = motion_field(depth @ depth_next.transpose(-1, -2), tau)
    return (video_field - depth_field).square().sum()


def cross_attention_consistency(video_NKPT: Tensor, depth_NKPT: Tensor) -> Tensor:
    """L_xattn (Eq. 6): mean squared difference between the cross-attention maps of the two streams.

    Args:
        video_NKPT: [N, K, P, T] softmax maps of the video stream: pictures, heads, positions, condition tokens.
        depth_NKPT: the same of the depth stream.

    Returns:
        A scalar >= 0. Gradients reach both streams.
    """
    _same_shape(video_NKPT, depth_NKPT)
    return functional.mse_loss(video_NKPT.float(), depth_NKPT.float())


def _at_least_two_frames(features_BLPD: Tensor) -> Tensor:
    if features_BLPD.ndim != 4 or features_BLPD.shape[1] < 2:
        raise ValueError(
            f"features_BLPD: expected [B, L >= 2, P, D], got {list(features_BLPD.shape)}; motion needs two frames"
        )
    return features_BLPD


def _same_shape(video: Tensor, depth: Tensor) -> None:
    if video.shape != depth.shape:
        raise ValueError(f"video and depth features differ in shape: {list(video.shape)} and {list(depth.shape)}")
