"""Raw depth as 16-bit codes: code 0 is no value, codes 1 to 65535 are raw = offset + scale * code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError
from idol_prep._records import DepthRange, DepthTrack

_CODES = 65535


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthCodes:
    """One clip's quantisation, spanning all its valid values, and its normalising range."""

    offset: float
    scale: float
    range: DepthRange

    @staticmethod
    def fit(track: DepthTrack, normalising: DepthRange) -> DepthCodes:
        """The finest codes that reach from the smallest to the largest valid value."""
        low, high = extremes(track.values)
        scale = (high - low) / (_CODES - 1) or 1.0
        return DepthCodes(offset=low - scale, scale=scale, range=normalising)

    def encode(self, depth: NDArray) -> NDArray[np.uint16]:
        """Codes uint16 [H,W] of one frame, at most half a step off."""
        valid = np.isfinite(depth)
        steps = np.rint((np.where(valid, depth, self.offset) - self.offset) / self.scale)
        return np.where(valid, np.clip(steps, 1, _CODES), 0).astype(np.uint16)


def extremes(values: NDArray) -> tuple[float, float]:
    """Smallest and largest finite value; (0, 0) where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def depth_range(track: DepthTrack, mask: NDArray | None, clip_id: str) -> DepthRange:
    """The clip's normalising range. Raises `DataError` where no value is valid (inside ``mask``, if given)."""
    bounds = track.bounds
    if bounds is None:
        valid = np.isfinite(track.values) & (True if mask is None else mask > 0)
        if not valid.any():
            raise DataError(f"clip {clip_id}: no valid depth{'' if mask is None else ' inside the mask'} in any frame")
        low, high = np.percentile(track.values[valid], track.percentiles)
        bounds = float(low), float(high)
    return DepthRange(low=bounds[0], high=bounds[1], polarity=track.polarity, scope=track.scope)
