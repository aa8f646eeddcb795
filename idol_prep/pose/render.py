"""Poses as pictures: the one style that preparation, training, generation and evaluation share.

Style ``idol-openpose18-v1``: black canvas; the 17 limbs of OpenPose-18 as round-ended sticks in 60 % of the rainbow's
18 colours, then the joints as full-colour discs; widths in proportion to the picture's shorter side; edges smoothed by
exact distance. Any change in looks is a new version, since a trained model has seen the old one.

Style ``idol-wholebody-v1`` adds what whole-body keypoints know, half as wide: the fingers as sticks, one colour a
finger, and the 68 points of the face as white discs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose.formats import OPENPOSE18_LIMBS, WHOLE_BODY_FORMATS, Keypoints, PoseError, to_openpose18

RenderStyle = Literal["body", "whole_body"]
RENDER_STYLE = "idol-openpose18-v1"
"""Name and version of ``body``."""
WHOLE_BODY_STYLE = "idol-wholebody-v1"
"""Name and version of ``whole_body``."""
SCORE_THRESHOLD = 0.3
"""Joints below it are not drawn, nor the limbs that end in them."""

_RAINBOW = np.array(
    [
        (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
        (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
        (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
    ],
    np.float32,
)  # fmt: skip
_LIMB_SHADE = 0.6
_LIMB_HALF_WIDTH = 0.0125
_JOINT_RADIUS = 0.0175
"""Parts of the picture's shorter side: 1.6 and 2.2 pixels at 128, 6.4 and 9 at 512."""


def render(
    keypoints: Keypoints,
    size: tuple[int, int],
    source_size: tuple[int, int],
    threshold: float = SCORE_THRESHOLD,
    style: RenderStyle = "body",
) -> NDArray[np.uint8]:
    """Draw every person of every frame: uint8 [L,H,W,3].

    ``size`` is the (H, W) of the result, ``source_size`` that of the frames the keypoints' pixels belong to; the one
    is stretched to the other. Formats other than OpenPose-18 are converted. A frame without people is black.

    Raises:
        PoseError: style ``whole_body`` of keypoints that have no hands and face.
    """
    canvas = np.zeros((len(keypoints), *size, 3), np.float32)
    scale = np.array([size[1] / source_size[1], size[0] / source_size[0]], np.float32)
    for part, draw in _parts(keypoints, style):
        xy = part.xy * scale - np.float32(0.5)
        drawn = (part.score >= threshold) & (part.score > 0) & np.isfinite(xy).all(axis=-1)
        for frame, people_xy, people_drawn in zip(canvas, xy, drawn, strict=True):
            for joints, seen in zip(people_xy.tolist(), people_drawn.tolist(), strict=True):
                draw(frame, joints, seen)
    return np.rint(canvas).astype(np.uint8)


def _parts(keypoints: Keypoints, style: RenderStyle) -> list[tuple[Keypoints, _Draw]]:
    """What is drawn, and how."""
    body = [(to_openpose18(keypoints), _draw_person)]
    if style == "body":
        return body
    if keypoints.format not in WHOLE_BODY_FORMATS:
        raise PoseError(f"{keypoints.format} keypoints have no hands and face; draw them with style body")
    return [*body, (keypoints, _DETAILS[keypoints.format])]


def _draw_person(frame: NDArray[np.float32], joints: list[list[float]], seen: list[bool]) -> None:
    short = min(frame.shape[:2])
    half_width, radius = max(1.0, _LIMB_HALF_WIDTH * short), max(1.2, _JOINT_RADIUS * short)
    for colour, (a, b) in zip(_RAINBOW * _LIMB_SHADE, OPENPOSE18_LIMBS, strict=False):
        if seen[a] and seen[b]:
            _draw_stick(frame, joints[a], joints[b], half_width, colour)
    for colour, joint, visible in zip(_RAINBOW, joints, seen, strict=True):
        if visible:
            _draw_stick(frame, joint, joint, radius, colour)


def _draw_details(frame: NDArray[np.float32], joints: list[list[float]], seen: list[bool], first: int) -> None:
    """Face and hands of whole-body keypoints whose face begins at joint number ``first``."""
    short = min(frame.shape[:2])
    half_width, radius = max(0.6, _LIMB_HALF_WIDTH * short / 2), max(0.6, _JOINT_RADIUS * short / 2)
    for place in range(first, first + _FACE):
        if seen[place]:
            _draw_stick(frame, joints[place], joints[place], radius, _WHITE)
    for wrist in (first + _FACE, first + _FACE + _HAND):
        for finger in range(5):
            chain = [wrist, *(wrist + 4 * finger + j for j in range(1, 5))]
            for a, b in pairwise(chain):
                if seen[a] and seen[b]:
                    _draw_stick(frame, joints[a], joints[b], half_width, _RAINBOW[3 * finger])


_FACE, _HAND = 68, 21
_WHITE = np.full(3, 255, np.float32)
_Draw = Callable[[NDArray[np.float32], list[list[float]], list[bool]], None]
_DETAILS: dict[str, _Draw] = {
    "wholebody133": partial(_draw_details, first=23),
    "wholebody134": partial(_draw_details, first=24),
}


def _draw_stick(
    frame: NDArray[np.float32], a: list[float], b: list[float], radius: float, colour: NDArray[np.float32]
) -> None:
    """Lay a round-ended stick over the picture, covering each pixel by radius + 1/2 - distance, at most whole."""
    (ax, ay), (bx, by) = a, b
    reach = radius + 1
    left, right = max(0, int(min(ax, bx) - reach)), min(frame.shape[1], int(max(ax, bx) + reach) + 2)
    top, bottom = max(0, int(min(ay, by) - reach)), min(frame.shape[0], int(max(ay, by) + reach) + 2)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32) - np.float32(ax)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(ay)
    dx, dy = bx - ax, by - ay
    if length := dx * dx + dy * dy:
        along = _unit(x * np.float32(dx / length) + y * np.float32(dy / length))
        x, y = x - along * np.float32(dx), y - along * np.float32(dy)
    cover = _unit(np.float32(radius + 0.5) - np.sqrt(x * x + y * y))[..., None]
    patch = frame[top:bottom, left:right]
    patch += (colour - patch) * cover


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values limited to [0, 1], in place: on a stick's few pixels `numpy.clip` costs more than all else."""
    np.maximum(values, np.float32(0), out=values)
    return np.minimum(values, np.float32(1), out=values)
