"""How much changes from frame to frame: a still or flickering video shows at once."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def frame_change(values: NDArray) -> float:
    """Mean absolute difference between neighbouring frames of [L, ...], in the units of ``values``.

    Raises:
        ValueError: fewer than two frames.
    """
    if len(values) < 2:
        raise ValueError(f"frame-to-frame change needs at least 2 frames, got {len(values)}")
    steps = (np.abs(after.astype(np.float64) - before) for before, after in pairwise(values))
    return float(np.mean([step.mean() for step in steps]))


def change_ratio(pred: float, truth: float) -> float | None:
    """Change of a prediction over that of the truth: 1 is ideal, 0 a still. None where the truth does not move."""
    return pred / truth if truth > 0 else None
