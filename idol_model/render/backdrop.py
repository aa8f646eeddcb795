"""What lies behind: the farthest that each pixel ever shows, and a smooth guess where nothing far was seen."""

import numpy as np
from numpy.typing import NDArray

FAR = 0.85
"""Depth from which on a pixel counts as background; a person ends at 0.75 by default."""


def backdrop(
    video_LHW3: NDArray[np.uint8], depth_LHW: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Colour uint8 [H, W, 3] and depth float32 [H, W] of the background (depth 0 is near).

    Where no frame shows anything far, both are filled in from around; a video without anything far gives its farthest
    surface as it is.
    """
    farthest = depth_LHW.argmax(axis=0)[None]
    depth_HW = np.take_along_axis(depth_LHW, farthest, axis=0)[0]
    rgb_HW3 = np.take_along_axis(video_LHW3, farthest[..., None], axis=0)[0]
    seen = _shrunk(depth_HW >= FAR)
    if not seen.any() or seen.all():
        return rgb_HW3, depth_HW
    both = np.concatenate([rgb_HW3.astype(np.float32), depth_HW[..., None] * 255], axis=-1)
    filled = _filled(both, seen)
    return np.rint(np.clip(filled[..., :3], 0, 255)).astype(np.uint8), filled[..., 3] / np.float32(255)


def _shrunk(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the pixels at an outline, whose colour is mixed with the person's."""
    padded = np.pad(seen, 1, mode="edge")
    height, width = seen.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.logical_and.reduce(shifted)


def _filled(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Unseen pixels from coarser and coarser averages of seen ones (push and pull)."""
    if seen.all() or max(seen.shape) == 1:
        return values
    small, small_seen = _halved(values, seen)
    coarse = _filled(small, small_seen)
    doubled = _smooth(coarse.repeat(2, axis=0).repeat(2, axis=1))[: seen.shape[0], : seen.shape[1]]
    return np.where(seen[..., None], values, doubled)


def _halved(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    odd = [(0, side % 2) for side in seen.shape]
    weight = np.pad(seen.astype(np.float32), odd)[..., None]
    weighted = np.pad(values, (*odd, (0, 0))) * weight
    total, count = _sums_of_four(weighted), _sums_of_four(weight)
    return total / np.maximum(count, 1), count[..., 0] > 0


def _sums_of_four(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]


def _smooth(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A 3 x 3 tent, so that the coarse cells do not show."""
    for axis in (0, 1):
        wide = np.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        length = x.shape[axis]
        before, after = (wide.take(range(start, start + length), axis=axis) for start in (0, 2))
        x = 0.25 * before + 0.5 * x + 0.25 * after
    return x
