"""How much changes from frame to frame, and whether it changes as the true clip does."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_STEADY = 0.05
"""Share of the depth's range below which a true change counts as steady (Video Depth Anything's gradient matching)."""


def frame_change(values: NDArray) -> float:
    """Mean absolute difference between neighbouring frames of [L, ...], in the units of ``values``.

    Raises:
        ValueError: fewer than two frames.
    """
    _at_least_two(values)
    steps = (np.abs(after.astype(np.float64) - before) for before, after in pairwise(values))
    return float(np.mean([step.mean() for step in steps]))


def change_ratio(pred: float, truth: float) -> float | None:
    """Change of a prediction over that of the truth: 1 is ideal, 0 a still. None where the truth does not move."""
    return pred / truth if truth > 0 else None


def warp_errors(truth_video_LHW3: NDArray[np.uint8], *tracks: NDArray) -> list[float]:
    """Mean absolute difference of each frame and the next one led back along the flow of the **true** video.

    Args:
        tracks: uint8 [L, H, W, 3] or float [L, H, W] in 0..1, as long as the true video. All are measured along the
            same motion, which none of them has made itself.

    Returns:
        One number in 0..1 for each track.

    Raises:
        ValueError: fewer than two frames.
    """
    from idol_eval.flow import flow, grey, warp

    _at_least_two(truth_video_LHW3)
    uv = flow(grey(truth_video_LHW3)).uv
    errors = []
    for track in tracks:
        x_LCHW = grey(track)[:, None]
        errors.append(float((warp(x_LCHW[1:], uv) - x_LCHW[:-1]).abs().mean()))
    return errors


def depth_flicker(pred: NDArray[np.floating], truth: NDArray[np.floating]) -> float | None:
    """Mean absolute difference of the frame-to-frame changes of two depths [L, H, W], where the true one is steady.

    Steady is a true change below 5 % of the true depth's range in that clip. None where nothing is.

    Raises:
        ValueError: fewer than two frames.
    """
    _at_least_two(truth)
    mine, true = np.diff(pred.astype(np.float64), axis=0), np.diff(truth.astype(np.float64), axis=0)
    steady = np.abs(true) < _STEADY * max(float(np.ptp(truth)), 1e-12)
    return float(np.abs(mine - true)[steady].mean()) if steady.any() else None


def _at_least_two(values: NDArray) -> None:
    if len(values) < 2:
        raise ValueError(f"frame-to-frame change needs at least 2 frames, got {len(values)}")
