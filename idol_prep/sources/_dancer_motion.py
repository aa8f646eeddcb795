"""How a synthetic dancer moves: joint angles as sums of sinusoids on one tempo, joints by forward kinematics.

Body axes in metres: x to the picture's right, y up, z towards the camera. All arrays run over the L frames first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Joints = dict[str, Array]
"""Joint positions [L, 3] by name; ``r`` and ``l`` are the dancer's own right and left."""

SIDES: tuple[tuple[int, str], ...] = ((-1, "r"), (1, "l"))
"""Facing the camera, the dancer's right is on the picture's left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proportions:
    """Lengths in metres."""

    height: float
    shoulder: float
    """Half the distance between the shoulders."""
    hip: float
    """Half the distance between the hips."""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Proportions":
        """A person between 1.5 and 1.95 m, narrow or broad."""
        height = rng.uniform(1.5, 1.95)
        return Proportions(
            height=height,
            shoulder=0.125 * height * rng.uniform(0.9, 1.15),
            hip=0.075 * height * rng.uniform(0.9, 1.25),
        )


class Waves:
    """Draws smooth angles: two sinusoids on the dance's common tempo, kept inside a joint's limits."""

    def __init__(self, rng: np.random.Generator, frames: int, fps: float) -> None:
        self._rng = rng
        self._seconds = np.arange(frames) / fps
        self._tempo = rng.uniform(1.0, 1.7)

    def angle(self, low: float, high: float) -> Array:
        """Angles in radians [L] between ``low`` and ``high`` degrees."""
        rng, span = self._rng, high - low
        middle = rng.uniform(low, high)
        reach = min(middle - low, high - middle) * rng.uniform(0.5, 1) + 0.15 * span
        beats = (
            np.sin(np.pi * self._tempo * beat * self._seconds + rng.uniform(0, 2 * np.pi)) * rng.uniform(0.4, 1) / beat
            for beat in (1, 2)
        )
        swing = np.sum(list(beats), axis=0) / 1.3
        return np.deg2rad(np.clip(middle + reach * swing, low, high)).astype(np.float64)


def dance(rng: np.random.Generator, body: Proportions, frames: int, fps: float) -> tuple[Joints, Array]:
    """Joints of a dance and the turn of the body about the vertical, [L] in radians; the lower foot is on the floor."""
    waves = Waves(rng, frames, fps)
    joints: Joints = {}
    yaw, lean = waves.angle(-50, 50), waves.angle(-12, 12)
    trunk = _vector(np.sin(lean), np.cos(lean), 0)
    across = _vector(np.cos(lean), -np.sin(lean), 0)
    joints["pelvis"] = np.zeros((frames, 3))
    joints["neck"] = trunk * 0.30 * body.height
    joints["head"] = joints["neck"] + trunk * 0.13 * body.height
    shoulders = joints["neck"] - trunk * 0.03 * body.height
    for side, name in SIDES:
        _arm(joints, name, shoulders + across * body.shoulder * side, (side, body.height), waves)
        _leg(joints, name, across * body.hip * side, (side, body.height), waves)
    return _stand_and_turn(joints, yaw, sway=waves.angle(-16, 16)), yaw


def _arm(joints: Joints, name: str, shoulder: Array, size: tuple[int, float], waves: Waves) -> None:
    side, height = size
    raised, forward, bend = waves.angle(8, 140), waves.angle(-25, 70), waves.angle(5, 115)
    upper = _unit(
        _vector(side * np.sin(raised), -np.cos(raised) * np.cos(forward), np.sin(forward) * np.abs(np.cos(raised)))
    )
    lower = _bent(upper, towards=np.array([-0.5 * side, 0.7, 0.6]), angle=bend)
    joints[name + "_shoulder"] = shoulder
    joints[name + "_elbow"] = shoulder + upper * 0.17 * height
    joints[name + "_wrist"] = joints[name + "_elbow"] + lower * 0.15 * height
    joints[name + "_hand"] = joints[name + "_wrist"] + lower * 0.05 * height


def _leg(joints: Joints, name: str, hip: Array, size: tuple[int, float], waves: Waves) -> None:
    side, height = size
    apart, forward, bend = waves.angle(2, 28), waves.angle(-15, 40), waves.angle(2, 60)
    thigh = _unit(_vector(side * np.sin(apart), -np.cos(apart) * np.cos(forward), np.sin(forward)))
    shin = _bent(thigh, towards=np.array([0.0, 0.0, -1.0]), angle=bend)
    joints[name + "_hip"] = hip
    joints[name + "_knee"] = hip + thigh * 0.245 * height
    joints[name + "_ankle"] = joints[name + "_knee"] + shin * 0.235 * height
    joints[name + "_toe"] = joints[name + "_ankle"] + np.array([0.02 * side, -0.02, 0.1]) * 0.9 * height


def _stand_and_turn(joints: Joints, yaw: Array, sway: Array) -> Joints:
    """Lower foot to the floor (y = 0), body turned by ``yaw``, weight shifted sideways by ``sway`` metres."""
    floor = np.minimum(joints["r_ankle"][:, 1], joints["l_ankle"][:, 1])
    cos, sin = np.cos(yaw), np.sin(yaw)
    return {
        name: np.stack([cos * p[:, 0] + sin * p[:, 2] + sway, p[:, 1] - floor, cos * p[:, 2] - sin * p[:, 0]], axis=-1)
        for name, p in joints.items()
    }


def _bent(direction: Array, towards: Array, angle: Array) -> Array:
    """``direction`` [L, 3] turned by ``angle`` [L] towards a fixed vector."""
    sideways = _unit(towards - (towards * direction).sum(-1, keepdims=True) * direction)
    return np.cos(angle)[:, None] * direction + np.sin(angle)[:, None] * sideways


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _vector(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Array:
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)
