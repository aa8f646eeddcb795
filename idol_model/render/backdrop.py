"""What lies behind: the farthest that each pixel ever shows, and a smooth guess where nothing far was seen."""

import numpy as np
from numpy.typing import NDArray

FAR = 0.85
"""Depth from which on a pixel counts as background; a person ends at 0.75 by default."""


class Farthest:
    """Gathers what lies behind, frame by frame in constant memory.

    >>> seen = Farthest()
    >>> for rgb, depth in frames:
    ...     seen.add(rgb, depth)
    >>> rgb, depth = seen.backdrop()
    """

    def __init__(self) -> None:
        self._rgb: NDArray[np.uint8] | None = None
        self._depth = np.empty((0, 0), np.float32)

    def add(self, rgb_HW3: NDArray[np.uint8], depth_HW: NDArray[np.float32]) -> None:
        """One more frame; depth 0 is near."""
        if self._rgb is None:
            self._rgb, self._depth = rgb_HW3.copy(), depth_HW.copy()
            return
        farther = depth_HW > self._depth
        self._rgb[farther], self._depth[farther] = rgb_HW3[farther], depth_HW[farther]

    def backdrop(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """As the function `backdrop` of all frames so far. Raises ValueError where there were none."""
        if self._rgb is None:
            raise ValueError("a backdrop needs at least one frame")
        seen = _shrunk(self._depth >= FAR)
        if not seen.any() or seen.all():
            return self._rgb, self._depth
        both = np.concatenate([self._rgb.astype(np.float32), self._depth[..., None] * 255], axis=-1)
        filled = _filled(both, seen)
        return np.rint(np.clip(filled[..., :3], 0, 255)).astype(np.uint8), filled[..., 3] / np.float32(255)


class MeanBehind:
    """As `Farthest`, calmer: each pixel's mean over the frames that show it far and away from any outline.

    For pictures that are rendered anew; single frames' specks and mixed colours at outlines average out or never come
    in. A video that shows nothing far has `Farthest`'s backdrop.
    """

    def __init__(self) -> None:
        self._farthest = Farthest()
        self._sum: NDArray[np.float64] | None = None
        self._count = np.empty((0, 0), np.int64)

    def add(self, rgb_HW3: NDArray[np.uint8], depth_HW: NDArray[np.float32]) -> None:
        """One more frame; depth 0 is near."""
        self._farthest.add(rgb_HW3, depth_HW)
        if self._sum is None:
            self._sum, self._count = np.zeros((*depth_HW.shape, 4)), np.zeros(depth_HW.shape, np.int64)
        clear = _shrunk(_shrunk(depth_HW >= FAR))
        self._sum[clear] += np.concatenate([rgb_HW3, 255 * depth_HW[..., None]], axis=-1)[clear]
        self._count += clear

    def backdrop(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """As `Farthest.backdrop`."""
        if self._sum is None or not self._count.any():
            return self._farthest.backdrop()
        mean = (self._sum / np.maximum(self._count, 1)[..., None]).astype(np.float32)
        filled = _filled(mean, self._count > 0)
        return np.rint(np.clip(filled[..., :3], 0, 255)).astype(np.uint8), filled[..., 3] / np.float32(255)


def backdrop(
    video_LHW3: NDArray[np.uint8], depth_LHW: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Colour uint8 [H, W, 3] and depth float32 [H, W] of the background (depth 0 is near).

    Where no frame shows anything far, both are filled in from around; a video without anything far gives its farthest
    surface as it is.
    """
    seen = Farthest()
    for rgb_HW3, depth_HW in zip(video_LHW3, depth_LHW, strict=True):
        seen.add(rgb_HW3, depth_HW)
    return seen.backdrop()


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
