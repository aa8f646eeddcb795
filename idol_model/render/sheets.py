"""Frames side by side in one picture, as the data URL that a page carries in itself."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_PIXELS = 4096
"""Side of the largest texture that every WebGL 2 device takes with certainty is 2048; all common ones take this."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of ``height`` x ``width`` pixels, ``columns`` x ``rows`` of them."""

    height: int
    width: int
    columns: int
    rows: int

    @classmethod
    def of(cls, frames: int, height: int, width: int) -> "Grid":
        """The most nearly square sheet."""
        columns = max(1, min(frames, round(math.sqrt(frames * height / width))))
        return cls(height, width, columns, -(-frames // columns))


def most_frames(height: int, width: int) -> int:
    """Frames that fit on one sheet.

    Raises:
        ValueError: not even one fits.
    """
    fitting = (MOST_PIXELS // height) * (MOST_PIXELS // width)
    if fitting == 0:
        raise ValueError(
            f"a frame of {width} x {height} pixels is too large to view; scale it to {MOST_PIXELS} at most"
        )
    return fitting


def sheet(frames: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """uint8 [L, H, W, ...] as one picture [rows * H, columns * W, ...]; unused cells are 0."""
    cells = np.zeros((grid.columns * grid.rows, *frames.shape[1:]), dtype=np.uint8)
    cells[: len(frames)] = frames
    tiled = cells.reshape(grid.rows, grid.columns, *frames.shape[1:]).swapaxes(1, 2)
    return tiled.reshape(grid.rows * grid.height, grid.columns * grid.width, *frames.shape[3:])


def colour_url(picture: NDArray[np.uint8]) -> str:
    """RGB for the eye: WebP, high quality."""
    return _url(picture, "webp", quality=90, method=4)


def depth_levels(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth in [0, 1] as 256 levels."""
    return np.rint(np.clip(depth, 0, 1) * 255).astype(np.uint8)


def depth_url(levels: NDArray[np.uint8]) -> str:
    """Depth levels: lossless PNG."""
    return _url(levels, "png", optimize=True)


def _url(picture: NDArray[np.uint8], kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
