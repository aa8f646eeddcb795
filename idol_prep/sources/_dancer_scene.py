"""Where a synthetic dancer stands: backgrounds, and the camera that looks on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.sources._dancer_body import colour
from idol_prep.sources._dancer_motion import Array


def background(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A room: wall in a gradient of two colours, up to three pictures or windows, floor. uint8 [H, W, 3]."""
    y = np.linspace(0, 1, height)[:, None, None]
    x = np.linspace(0, 1, width)[None, :, None]
    first, second = colour(rng, (0, 1), (0.1, 0.6), (0.35, 0.95)), colour(rng, (0, 1), (0.1, 0.6), (0.3, 0.95))
    slant = rng.uniform()
    blend = slant * y + (1 - slant) * x
    room = first * (1 - blend) + second * blend
    skirting = rng.uniform(0.62, 0.8)
    floor = colour(rng, (0, 1), (0.1, 0.5), (0.2, 0.75)) * (0.75 + 0.5 * (y - skirting))
    for _ in range(rng.integers(0, 4)):
        wide, tall = rng.uniform(0.1, 0.35), rng.uniform(0.12, 0.4)
        left, top = rng.uniform(-0.05, 0.9), rng.uniform(0.02, max(0.05, skirting - tall - 0.02))
        inside = (x > left) & (x < left + wide) & (y > top) & (y < top + tall)
        shade = 1 - 0.3 * (y - top) / tall
        room = np.where(inside, colour(rng, (0, 1), (0.1, 0.7), (0.3, 0.95)) * shade, room)
    return np.clip(np.where(y > skirting, floor, room), 0, 255).astype(np.uint8)


_MARGIN = 0.02
"""Share of the picture's side that the dancer never enters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """A still camera far enough away for parallel projection."""

    scale: float
    """Pixels a metre."""
    left: float
    """Picture x of the body's axis, in pixels."""
    floor: float
    """Picture y of the floor, in pixels."""
    distance: float
    """Metres from the camera to the body's axis."""

    @staticmethod
    def draw(rng: np.random.Generator, picture: tuple[int, int], body_height: float) -> "Camera":
        """The standing figure fills 62 to 88 % of the height of a picture (H, W)."""
        height, width = picture
        figure = rng.uniform(0.62, 0.88) * height
        return Camera(
            scale=figure / (1.08 * body_height),
            left=width * (0.5 + rng.uniform(-0.06, 0.06)),
            floor=height * (0.5 + rng.uniform(-0.02, 0.04)) + 0.5 * figure,
            distance=rng.uniform(2.5, 4.0),
        )

    def containing(self, points: Array, radius: float, picture: tuple[int, int]) -> "Camera":
        """The same camera, moved or back, so that ``points`` [..., 3] and ``radius`` metres around lie inside."""
        height, width = picture
        low = points[..., :2].reshape(-1, 2).min(axis=0) - radius
        high = points[..., :2].reshape(-1, 2).max(axis=0) + radius
        inner = np.array([width, height]) * (1 - 2 * _MARGIN)
        scale = min(self.scale, *(inner / (high - low)))
        left = np.clip(self.left, _MARGIN * width - scale * low[0], (1 - _MARGIN) * width - scale * high[0])
        floor = np.clip(self.floor, _MARGIN * height + scale * high[1], (1 - _MARGIN) * height + scale * low[1])
        return Camera(scale=scale, left=float(left), floor=float(floor), distance=self.distance)

    def project(self, points: Array) -> Array:
        """Body coordinates [..., 3] in metres to picture x, y in pixels and depth from the camera in metres."""
        return np.stack(
            [
                self.left + points[..., 0] * self.scale,
                self.floor - points[..., 1] * self.scale,
                self.distance - points[..., 2],
            ],
            axis=-1,
        )
