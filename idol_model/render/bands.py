"""Labelled bands of small pictures under each other, as one PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_LINE, _GAP = 18, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A line of text over rows of square pictures, uint8 [side, side, 3] each."""

    label: str
    rows: Sequence[Sequence[NDArray[np.uint8]]]


def draw(bands: Sequence[Band], path: Path, *, tile: int) -> None:
    """Write the bands to ``path``, every picture enlarged to ``tile`` pixels without smoothing."""
    step = tile + _GAP
    columns = max(len(row) for band in bands for row in band.rows)
    height = sum(_LINE + len(band.rows) * step for band in bands)
    canvas = Image.new("RGB", (columns * step, height), "white")
    pen, y = ImageDraw.Draw(canvas), 0
    for band in bands:
        pen.text((2, y + 3), band.label, fill="black")
        y += _LINE
        for row in band.rows:
            for column, picture in enumerate(row):
                square = Image.fromarray(picture).resize((tile, tile), Image.Resampling.NEAREST)
                canvas.paste(square, (column * step, y))
            y += step
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    canvas.save(temporary, format="PNG")
    temporary.replace(path)
