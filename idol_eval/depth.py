"""Depth errors. Both depths are scaled to [0, 1] by one rule before they come here (Sec. 4, "L2").

The paper's "L2" is read as the per-pixel squared difference, averaged over pixels and frames, in a fixed range and
without alignment (``docs/evaluation.md``): `mse` here.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SLACK = 0.5
"""How far outside [0, 1] a value may lie before the depth is taken for one in other units."""

_OFFSET = 1.0
"""Added to depths in [0, 1] before ratios are taken; peers divide metres, whose zero is the camera."""
_NEAR = 1.25


def depth_metrics(pred: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None) -> dict[str, float]:
    """Differences between two depths.

    Args:
        pred, target: [L, H, W] in [0, 1], the same end near in both.
        mask: [L, H, W], non-zero where the person is. With it the errors on these pixels alone come too.

    Returns:
        ``mse``, ``rmse`` (the root of ``mse``) and ``mae`` over all pixels; ``aligned_mse``, after the least-squares
        scale and shift of ``pred`` over the whole clip. With a mask ``fg_mse``, ``fg_rmse``, ``fg_mae``, and after the
        least-squares scale and shift over the person: ``fg_aligned_mse``, ``fg_absrel`` and ``fg_delta1``.
        The last two are those of Marigold and its kin (mean of ``|d - d*| / d*``; share of pixels with
        ``max(d / d*, d* / d) < 1.25``) on ``target + 1``, as depth in [0, 1] has no zero to be relative to.

    Raises:
        ValueError: shapes that differ, NaN or infinity, values far outside [0, 1], or a mask without a pixel.
    """
    pred_LHW, target_LHW = _checked(pred, "pred"), _checked(target, "target")
    if pred_LHW.shape != target_LHW.shape:
        raise ValueError(f"depth: pred is {pred_LHW.shape} and target {target_LHW.shape}; give equal shapes")
    scale, shift = fit_scale_shift(pred_LHW, target_LHW)
    errors = _errors(pred_LHW - target_LHW, "")
    errors["aligned_mse"] = float(np.mean((scale * pred_LHW + shift - target_LHW) ** 2))
    if mask is not None:
        inside = np.asarray(mask) > 0
        if inside.shape != target_LHW.shape:
            raise ValueError(f"depth: the mask is {inside.shape} and the depth {target_LHW.shape}; give equal shapes")
        if not inside.any():
            raise ValueError("depth: the mask is empty, so there is no foreground to measure; leave the mask out")
        errors |= _errors((pred_LHW - target_LHW)[inside], "fg_") | _relative(pred_LHW[inside], target_LHW[inside])
    return errors


def _relative(pred: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, float]:
    """Errors after alignment, on depths moved to 1..2 so that none is near 0."""
    scale, shift = fit_scale_shift(pred, target)
    mine, true = scale * pred + shift + _OFFSET, target + _OFFSET
    ratio = np.where(mine > 0, np.maximum(mine / true, true / np.where(mine > 0, mine, 1)), np.inf)
    return {
        "fg_aligned_mse": float(np.mean((mine - true) ** 2)),
        "fg_absrel": float(np.mean(np.abs(mine - true) / true)),
        "fg_delta1": float(np.mean(ratio < _NEAR)),
    }


def fit_scale_shift(pred: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> tuple[float, float]:
    """Scale and shift of ``pred`` nearest to ``target`` by (weighted) least squares.

    A constant ``pred`` has no scale to find: (0, mean of target).
    """
    x, y = np.asarray(pred, dtype=np.float64).ravel(), np.asarray(target, dtype=np.float64).ravel()
    w = np.ones_like(x) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    mean_x, mean_y = np.average(x, weights=w), np.average(y, weights=w)
    variance = np.average((x - mean_x) ** 2, weights=w)
    if variance <= np.finfo(np.float64).eps * max(mean_x**2, 1e-30):
        return 0.0, float(mean_y)
    scale = np.average((x - mean_x) * (y - mean_y), weights=w) / variance
    return float(scale), float(mean_y - scale * mean_x)


def _errors(difference: NDArray[np.float64], prefix: str) -> dict[str, float]:
    mse = float(np.mean(difference**2))
    return {f"{prefix}mse": mse, f"{prefix}rmse": mse**0.5, f"{prefix}mae": float(np.mean(np.abs(difference)))}


def _checked(depth: ArrayLike, name: str) -> NDArray[np.float64]:
    values = np.asarray(depth, dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"depth: {name} is empty, shape {values.shape}; give [L, H, W]")
    if not np.isfinite(values).all():
        raise ValueError(f"depth: {name} holds NaN or infinity; fill pixels without depth before measuring")
    low, high = float(values.min()), float(values.max())
    if low < -_SLACK or high > 1 + _SLACK:
        raise ValueError(f"depth: {name} runs from {low:.4g} to {high:.4g}; scale it to [0, 1] first")
    return values
