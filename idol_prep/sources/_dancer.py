"""One synthetic dancer, from a seed to frames, mask, depth, keypoints and background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose import Keypoints
from idol_prep.sources._dancer_body import Wardrobe, capsules, facing
from idol_prep.sources._dancer_motion import Array, Joints, Proportions, dance
from idol_prep.sources._dancer_raster import render
from idol_prep.sources._dancer_scene import Camera, background

_BODY = (
    "head", "neck",
    "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist",
    "r_hip", "r_knee", "r_ankle", "l_hip", "l_knee", "l_ankle",
)  # fmt: skip
"""Joints behind OpenPose points 0 to 13; the nose, point 0, moves from the head's centre to its front."""

_HEAD_RADIUS = 0.072
"""Share of the body's height."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SyntheticClip:
    """A dancer of L frames. Depth is exact: metres from the camera, NaN where nobody is.

    frames uint8 [L, H, W, 3]; mask uint8 [L, H, W] of 0 and 1; depth float32 [L, H, W]; background uint8 [H, W, 3].
    """

    frames: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    depth: NDArray[np.float32]
    keypoints: Keypoints
    background: NDArray[np.uint8]


def make_clip(
    seed: list[int] | int, size: tuple[int, int] = (128, 128), frames: int = 16, fps: float = 12.0
) -> SyntheticClip:
    """The dancer of a seed: the same seed gives the same bytes, another seed another person, room and dance.

    Args:
        seed: one integer or several, as `numpy.random.default_rng` takes them.
        size: height and width of the pictures.
        frames: length of the clip, at ``fps`` frames a second.
        fps: frames a second; decides how far the dance moves between frames.
    """
    scene, person, motion, view = np.random.default_rng(seed).spawn(4)
    room = background(scene, *size)
    body = Proportions.draw(person)
    joints, yaw = dance(motion, body, frames, fps)
    everywhere = np.stack(list(joints.values()))
    camera = Camera.draw(view, size, body.height).containing(everywhere, 0.11 * body.height, size)
    figure = capsules(joints, yaw, body.height, Wardrobe.draw(person))
    drawn, mask, depth = render(figure, camera, room)
    keypoints = _keypoints(joints, yaw, body.height, camera)
    return SyntheticClip(frames=drawn, mask=mask, depth=depth, keypoints=keypoints, background=room)


def _keypoints(joints: Joints, yaw: Array, height: float, camera: Camera) -> Keypoints:
    """Exact OpenPose-18 keypoints [L, 1, 18]; points of the face that the head hides have score 0."""
    look, side = facing(yaw), np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], axis=-1)
    up = np.array([0.0, 0.25, 0.0])
    face = {
        "nose": look,
        "r_eye": 0.85 * look - 0.42 * side + up,
        "l_eye": 0.85 * look + 0.42 * side + up,
        "r_ear": -side,
        "l_ear": side,
    }
    points = {name: joints["head"] + offset * _HEAD_RADIUS * height for name, offset in face.items()}
    ordered = [points["nose"], *(joints[name] for name in _BODY[1:]), *(points[name] for name in list(face)[1:])]
    projected = camera.project(np.stack(ordered, axis=1))
    hidden = camera.project(joints["head"])[:, None, 2] + 0.4 * _HEAD_RADIUS * height < projected[..., 2]
    score = np.where(hidden & _FACE, 0.0, 1.0)
    xy = np.where(score[..., None] > 0, projected[..., :2], -1.0)
    return Keypoints(xy=xy[:, None].astype(np.float32), score=score[:, None].astype(np.float32))


_FACE = np.isin(np.arange(18), (0, 14, 15, 16, 17))
