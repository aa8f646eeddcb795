"""Masks as COCO writes them: polygons, run lengths, and run lengths packed into letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from idol_prep.schema import DataError

Segmentation = list[list[float]] | dict[str, Any]
"""Polygons [x0, y0, x1, y1, ...], or ``{"size": [H, W], "counts": runs}``."""


def draw(segmentation: Segmentation, height: int, width: int) -> NDArray[np.uint8]:
    """One object's mask, uint8 [H,W], 255 inside. Raises `DataError` for what is no segmentation of that size."""
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, height, width)
    if not segmentation or any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
        raise DataError("the segmentation has no polygon of three corners; leave this object out")
    picture = Image.new("L", (width, height))
    pen = ImageDraw.Draw(picture)
    for polygon in segmentation:
        pen.polygon(_pixels(polygon), fill=255)
    return np.array(picture)


def unpacked_runs(letters: str) -> list[int]:
    """Run lengths from COCO's letters.

    Five bits a letter, the lowest first, each letter 48 above its value; bit 32 says that more follow, bit 16 of the
    last is the sign. From the third run on it is the difference to the run two before.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for letter in letters:
        code = ord(letter) - 48
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        value -= (1 << shift) if code & 16 else 0
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs


def _from_runs(segmentation: dict[str, Any], height: int, width: int) -> NDArray[np.uint8]:
    """Runs of 0 and 1 in turn, down the columns."""
    counts = segmentation.get("counts", [])
    runs = np.array(unpacked_runs(counts) if isinstance(counts, str) else counts, np.int64)
    if list(segmentation.get("size", ())) != [height, width] or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(f"the segmentation's runs are not for a picture of {width}x{height}; leave this object out")
    values = np.arange(len(runs)) % 2 * 255
    return np.repeat(values.astype(np.uint8), runs).reshape(width, height).T.copy()


def _pixels(polygon: Sequence[float]) -> list[tuple[float, float]]:
    """Corners from edges (0 is the left edge of the first pixel) to centres of pixels, as Pillow draws."""
    return [(x - 0.5, y - 0.5) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
