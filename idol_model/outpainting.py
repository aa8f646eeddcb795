"""HAP against HAOP (the paper's Fig. 4): what pre-trained networks make of a person who stands elsewhere than before.

Pre-training knows no pose: the hole in the background is what tells the network where a person goes. A person who has
moved leaves the old hole behind, and the network has to fill it with background. One that learned to fill a hole to its
line with a person (HAP) shows the old outline; one that learned to go on beyond the line (HAOP) should not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_model import augment, pictures
from idol_model.pipeline import IdolPipeline
from idol_model.pose_control import NoPoseConfig

SHIFTS = (0.0, -0.2, 0.2)
"""Moves of the person, in widths of the picture; 0 is the pre-training's own task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A person and a background at the network's size, uint8 [S, S, 4]; alpha says which pixels are the person's."""

    person: NDArray[np.uint8]
    background: NDArray[np.uint8]

    @classmethod
    def of(cls, person_HW4: NDArray[np.uint8], background_HWC: NDArray[np.uint8], size: int) -> "Scene":
        """The centred squares of both. Raises ValueError where no person is in the first."""
        person = pictures.resize_background(person_HW4, size)
        if not (person[..., 3] > 127).any():
            raise ValueError("the person lies outside the picture's centred square; crop the picture about the person")
        return cls(person=person, background=pictures.resize_background(background_HWC, size))

    def hole(self, shift: float) -> NDArray[np.bool_]:
        """The old outline, and the outline of the person moved to the right by ``shift`` widths: bool [S, S]."""
        outline = self.person[..., 3] > 127
        return outline | _moved(outline, round(shift * outline.shape[1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One network: its name, the backgrounds that it was given and what it made, uint8 [S, S, 3] each, by shift."""

    label: str
    given: tuple[NDArray[np.uint8], ...]
    made: tuple[NDArray[np.uint8], ...]


def compare(
    pipes: Mapping[str, IdolPipeline],
    scene: Scene,
    *,
    shifts: Sequence[float] = SHIFTS,
    seed: int = 0,
    steps: int | None = None,
) -> Iterator[Row]:
    """Yield every network's pictures for all shifts, from the same noise; each sees the hole that it was trained on.

    Raises:
        ValueError: a network that takes poses, or that was trained on pictures without a hole of their own person.
    """
    for label, pipe in pipes.items():
        _check(label, pipe)
    settings = {"seed": seed, "num_inference_steps": steps}
    return (_row(label, pipe, scene, shifts, settings) for label, pipe in pipes.items())


def write_sheet(scene: Scene, rows: Sequence[Row], path: Path, *, shifts: Sequence[float] = SHIFTS) -> None:
    """One PNG: the person and the background, then a band a network with what it was given above what it made."""
    from idol_model.render.bands import Band, draw

    where = ", ".join(
        "in place" if not shift else f"{abs(shift):.0%} {'right' if shift > 0 else 'left'}" for shift in shifts
    )
    bands = [Band(label="person and background", rows=[[_shown(scene.person), scene.background[..., :3]]])]
    bands += [
        Band(label=f"{row.label}: given (grey: cut out) and made; the person {where}", rows=[row.given, row.made])
        for row in rows
    ]
    draw(bands, path, tile=max(scene.person.shape[0], 192))


def _check(label: str, pipe: IdolPipeline) -> None:
    recipe = pipe.recipe
    if not isinstance(recipe.pose_control, NoPoseConfig):
        raise ValueError(
            f"{label}: recipe {recipe.name} takes poses; Figure 4 compares pre-training, give the models of "
            "`idol train hap` and `idol train haop`"
        )
    if not augment.AUGMENT[recipe.data.augment].rebuilds:
        raise ValueError(
            f"{label}: recipe {recipe.name} (data.augment={recipe.data.augment}) was not trained to fill a person's "
            "hole; give the models of `idol train hap` and `idol train haop`"
        )


def _row(label: str, pipe: IdolPipeline, scene: Scene, shifts: Sequence[float], settings: dict[str, Any]) -> Row:
    widen = augment.widened_hole if pipe.recipe.data.augment == "haop" else lambda background: background
    pose = np.zeros((1, pipe.size, pipe.size, 3), np.uint8)
    given, made = [], []
    for shift in shifts:
        background = widen(pictures.with_alpha(scene.background[..., :3], ~scene.hole(shift)))
        (piece,) = pipe.pieces(scene.person, background, pose, **settings)
        given.append(_shown(background))
        made.append(piece.video[0])
    return Row(label=f"{label} ({pipe.recipe.data.augment})", given=tuple(given), made=tuple(made))


def _moved(mask_HW: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """To the right by ``pixels``; what leaves the picture is gone."""
    moved = np.zeros_like(mask_HW)
    width = mask_HW.shape[1]
    to, start = slice(max(pixels, 0), width + min(pixels, 0)), slice(max(-pixels, 0), width + min(-pixels, 0))
    moved[:, to] = mask_HW[:, start]
    return moved


def _shown(rgba_SS4: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey where cut out, as the network sees it."""
    return np.where(rgba_SS4[..., 3:] > 127, rgba_SS4[..., :3], np.uint8(127))
