"""What a synthetic dancer is made of: tapered capsules around the joints, coloured by a wardrobe."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from idol_prep.sources._dancer_motion import Array, Joints

Colour = NDArray[np.float64]
"""RGB in 0..255, [3]."""


@dataclass(frozen=True, slots=True)
class Capsule:
    """A tapered capsule: two end points [L, 3] and radii in metres, one colour, or two in stripes."""

    start: Array
    end: Array
    radii: tuple[float, float]
    colour: Colour
    stripe: Colour | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wardrobe:
    """Colours of one person; ``sleeve`` and ``leg`` are skin where the clothes are short."""

    skin: Colour
    hair: Colour
    shirt: Colour
    stripe: Colour | None
    sleeve: Colour
    trousers: Colour
    leg: Colour
    shoes: Colour
    girth: float
    """Factor on the thickness of trunk and limbs."""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Wardrobe":
        """A person's colours and girth."""
        skin = colour(rng, (0.04, 0.09), (0.25, 0.6), (0.45, 0.95))
        shirt = colour(rng, (0, 1), (0.3, 0.95), (0.35, 1))
        second = colour(rng, (0, 1), (0.2, 0.9), (0.4, 1))
        trousers = colour(rng, (0, 1), (0.1, 0.8), (0.15, 0.8))
        return Wardrobe(
            skin=skin,
            hair=colour(rng, (0, 0.14), (0.2, 0.8), (0.08, 0.7)),
            shirt=shirt,
            stripe=second if rng.random() < 0.35 else None,
            sleeve=shirt if rng.random() < 0.5 else skin,
            trousers=trousers,
            leg=trousers if rng.random() < 0.7 else skin,
            shoes=colour(rng, (0, 1), (0, 0.7), (0.1, 0.95)),
            girth=rng.uniform(0.9, 1.25),
        )


def colour(
    rng: np.random.Generator, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """A colour drawn from ranges of hue, saturation and value, each in [0, 1]."""
    hsv = (rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))
    return np.array(colorsys.hsv_to_rgb(*hsv), dtype=np.float64) * 255.0


def facing(yaw: Array) -> Array:
    """Where the face looks, unit vectors [L, 3]."""
    return np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)


def capsules(joints: Joints, yaw: Array, height: float, wardrobe: Wardrobe) -> list[Capsule]:
    """The figure, about twenty capsules; radii are shares of the height."""
    parts = [
        *_legs(joints, wardrobe),
        *_trunk(joints, wardrobe),
        *_arms(joints, wardrobe),
        *_head(joints, yaw, height, wardrobe),
    ]
    return [
        Capsule(part.start, part.end, (part.radii[0] * height, part.radii[1] * height), part.colour, part.stripe)
        for part in parts
    ]


def _legs(joints: Joints, worn: Wardrobe) -> list[Capsule]:
    parts, girth = [], worn.girth
    for side in "rl":
        hip, knee, ankle, toe = (joints[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe"))
        parts += [
            Capsule(hip, knee, (0.052 * girth, 0.040 * girth), worn.trousers),
            Capsule(knee, ankle, (0.038 * girth, 0.028 * girth), worn.leg),
            Capsule(ankle, toe, (0.028 * girth, 0.023 * girth), worn.shoes),
        ]
    return parts


def _trunk(joints: Joints, worn: Wardrobe) -> list[Capsule]:
    girth = worn.girth
    hips = (joints["r_hip"], joints["l_hip"])
    chest, waist = joints["pelvis"] * 0.3 + joints["neck"] * 0.7, (hips[0] + hips[1]) / 2
    parts = [Capsule(*hips, (0.060 * girth, 0.060 * girth), worn.trousers)]
    for side, hip in zip("rl", hips, strict=True):
        top, bottom = chest * 0.25 + joints[f"{side}_shoulder"] * 0.75, waist * 0.5 + hip * 0.5
        parts.append(Capsule(top, bottom, (0.055 * girth, 0.062 * girth), worn.shirt, worn.stripe))
    return [
        *parts,
        Capsule(chest, waist, (0.085 * girth, 0.075 * girth), worn.shirt, worn.stripe),
        Capsule(joints["r_shoulder"], joints["l_shoulder"], (0.045 * girth, 0.045 * girth), worn.shirt),
    ]


def _arms(joints: Joints, worn: Wardrobe) -> list[Capsule]:
    parts, girth = [], worn.girth
    for side in "rl":
        shoulder, elbow, wrist, hand = (joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand"))
        parts += [
            Capsule(shoulder, elbow, (0.042 * girth, 0.034 * girth), worn.shirt),
            Capsule(elbow, wrist, (0.033 * girth, 0.028 * girth), worn.sleeve),
            Capsule(wrist, hand, (0.030, 0.028), worn.skin),
        ]
    return parts


def _head(joints: Joints, yaw: Array, height: float, worn: Wardrobe) -> list[Capsule]:
    head, look = joints["head"], facing(yaw) * height
    up = np.array([0.0, height, 0.0])
    return [
        Capsule(joints["neck"], head, (0.036, 0.036), worn.skin),
        Capsule(head, head + 0.02 * up, (0.072, 0.070), worn.skin),
        Capsule(head + 0.035 * up - 0.030 * look, head + 0.02 * up - 0.035 * look, (0.075, 0.072), worn.hair),
    ]
