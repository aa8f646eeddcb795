"""Does the generated depth have the person's outline?"""

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.875
"""Half way between the farthest person (0.75) and the background (1.0) of the default depth range."""


def threshold(person_high: float, background: float) -> float:
    """The depth that parts person and background, for a range in which the person lies below the background."""
    return (person_high + background) / 2


def silhouette_iou(
    depth: NDArray[np.floating], mask: NDArray[np.integer] | NDArray[np.bool_], limit: float = THRESHOLD
) -> float:
    """Intersection over union of ``depth < limit`` with ``mask > 0``, mean over frames; 1 is the same outline.

    Args:
        depth: [L, H, W] in [0, 1], the person below the background.
        mask: [L, H, W], non-zero where the person truly is.
        limit: see `threshold`.

    A frame without a person counts 1 where the depth shows none either, and 0 where it shows one.

    Raises:
        ValueError: shapes that differ.
    """
    if depth.shape != mask.shape:
        raise ValueError(f"silhouette: depth is {depth.shape} and mask {mask.shape}; give equal shapes")
    shown, true = depth < limit, mask > 0
    common = (shown & true).sum(axis=(1, 2))
    either = (shown | true).sum(axis=(1, 2))
    return float(np.mean(np.where(either == 0, 1.0, common / np.maximum(either, 1))))
