"""Poses as the model takes them: square rendered pictures, one a frame, made when they are asked for.

Whatever the poses come from, they are fitted without distortion: the centred square where the person always stays in
it, else the whole frame on black. Nothing but the size of one frame is held.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

_BLACK = 40
"""Channel value up to which a pixel of a pose picture is background (video compression leaves noise)."""
_LEAST_DRAWN = 0.0005
"""Share of drawn pixels below which a pose picture shows nobody."""

Box = tuple[int, int, int, int]
"""Top, left, bottom, right; bottom and right excluded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Poses:
    """A pose sequence that can be read again and again. ``read`` gives uint8 [S, S, 3] pictures.

    ``kind`` says what the source is, ``view`` how it is fitted into the square, ``empty`` counts frames without person.
    """

    kind: str
    view: str
    frames: int
    empty: int
    fps: float
    read: Callable[[], Iterator[Any]]

    def first(self, frames: int | None) -> "Poses":
        """The first ``frames`` of them."""
        if frames is None or frames >= self.frames:
            return self
        return replace(self, frames=frames)

    def __iter__(self) -> Iterator[Any]:
        from itertools import islice

        return islice(self.read(), self.frames)


@dataclass(frozen=True, slots=True)
class View:
    """A square of the source's pixels; it may reach beyond the picture, where all is black."""

    top: int
    left: int
    side: int
    name: str

    @classmethod
    def around(cls, height: int, width: int, box: Box) -> "View":
        """The centred square if ``box`` lies in it, else the square around the whole picture."""
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        if height == width:
            return cls(0, 0, side, "the whole square")
        if box[0] >= top and box[1] >= left and box[2] <= top + side and box[3] <= left + side:
            return cls(top, left, side, "the centred square")
        side = max(height, width)
        return cls((height - side) // 2, (width - side) // 2, side, "the whole frame on black")

    def cut(self, picture_HW3: Any, size: int) -> Any:
        """The square of a picture, resized to uint8 [size, size, 3]."""
        import numpy as np
        from PIL import Image

        right, bottom = self.left + self.side, self.top + self.side
        square = Image.fromarray(picture_HW3).crop((self.left, self.top, right, bottom))
        if self.side == size:
            return np.asarray(square)
        return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def drawn_box(picture_HW3: Any) -> Box | None:
    """Where a pose picture is drawn on, None where nobody is."""
    import numpy as np

    drawn = picture_HW3.max(axis=-1) > _BLACK
    if drawn.mean() < _LEAST_DRAWN:
        return None
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def joined(a: Box | None, b: Box | None) -> Box | None:
    """The box around both."""
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def is_drawing(picture_HW3: Any) -> bool | None:
    """Whether a frame is a rendered pose: mostly black, and what is drawn mostly in full colours. None if all black.

    At least 60 % of the pixels have no channel above 40; of the others, at least 30 % are saturated (their least
    channel is at most half their greatest). A photograph in the dark fails the second, one on black cloth either.
    """
    greatest, least = picture_HW3.max(axis=-1), picture_HW3.min(axis=-1)
    drawn = greatest > _BLACK
    if drawn.mean() < _LEAST_DRAWN:
        return None
    saturated = (least <= greatest // 2)[drawn].mean()
    return bool(drawn.mean() <= 0.4 and saturated >= 0.3)
