"""Picture augmentation of human attribute pre-training: DisCo's HAP, and the paper's HAOP (Sec. 3.3, Eq. 8).

Both rebuild a picture from its own person and its own background. HAP shows them as they are: the hole in the
background has the person's outline, which a model learns to fill to the line. HAOP widens the hole and shows only a
part of the person, so that background and person must be continued.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from idol_model import pictures
from idol_model.inputs import ClipInputs

AugmentKind = Literal["none", "hap", "haop"]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
Square = tuple[int, int, int]
"""Top, left and side in pixels."""

_SCALE = (0.5, 1.0)
"""Share of the area that a random crop keeps, as in DisCo's pre-training."""
_HOLE = 1 / 16
"""How far HAOP widens the hole, as a share of the picture's side."""
_TRIES = 10


class Augment(Protocol):
    """The augmentation socket: one window's pictures to others, a function of the generator's state."""

    @property
    def rebuilds(self) -> bool:
        """Whether person and background are those of the window's own first frame."""
        ...

    def square(self, person_HW: NDArray[np.bool_], rng: np.random.Generator) -> Square:
        """The square of a still picture that is used, for all of its tracks."""
        ...

    def __call__(self, inputs: ClipInputs, rng: np.random.Generator) -> ClipInputs: ...


@dataclass(frozen=True, slots=True)
class NoAugment:
    """Pictures as they are."""

    rebuilds: bool = False

    def square(self, person_HW: NDArray[np.bool_], rng: np.random.Generator) -> Square:
        """The centred one."""
        del rng
        return pictures.centre_square(*person_HW.shape)

    def __call__(self, inputs: ClipInputs, rng: np.random.Generator) -> ClipInputs:
        del rng
        return inputs


@dataclass(frozen=True, slots=True)
class Hap:
    """One random crop for target, person and background alike."""

    rebuilds: bool = True

    def square(self, person_HW: NDArray[np.bool_], rng: np.random.Generator) -> Square:
        """A random one along the longer side, as DisCo's."""
        return square_with_person(person_HW, rng)

    def __call__(self, inputs: ClipInputs, rng: np.random.Generator) -> ClipInputs:
        size = inputs.frames.shape[1]
        person = pictures.resize_background(inputs.foreground, size)
        box = _box_with_person(person[..., 3], rng)
        return dataclasses.replace(
            inputs,
            frames=np.stack([_zoomed(frame, box) for frame in inputs.frames]),
            depth=np.stack([_zoomed(depth, box, Image.Resampling.NEAREST) for depth in inputs.depth]),
            poses=np.stack([_zoomed(pose, box) for pose in inputs.poses]),
            foreground=_zoomed(person, box),
            background=_zoomed(inputs.background, box),
        )


@dataclass(frozen=True, slots=True)
class Haop:
    """HAP, with a wider hole in the background and a random part of the person."""

    rebuilds: bool = True

    def square(self, person_HW: NDArray[np.bool_], rng: np.random.Generator) -> Square:
        """As HAP's."""
        return square_with_person(person_HW, rng)

    def __call__(self, inputs: ClipInputs, rng: np.random.Generator) -> ClipInputs:
        same = Hap()(inputs, rng)
        return dataclasses.replace(
            same, background=widened_hole(same.background), foreground=part_of_person(same.foreground, rng)
        )


AUGMENT: Mapping[AugmentKind, Augment] = {"none": NoAugment(), "hap": Hap(), "haop": Haop()}


def square_with_person(person_HW: NDArray[np.bool_], rng: np.random.Generator) -> Square:
    """A random square of the shorter side's length, drawn about the middle of the person: it always shows somebody.

    A tall picture's centred square would never show a head; any square could miss the person. Where the person is in
    parts that stand apart, the square is drawn about one of them.
    """
    side = min(person_HW.shape)
    top, left = (_around(person_HW.sum(axis), side, rng) for axis in (1, 0))
    return top, left, side


def widened_hole(background_SS4: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The background with its hole dilated on all sides."""
    reach = max(1, round(_HOLE * background_SS4.shape[0]))
    hole = torch.from_numpy(background_SS4[..., 3] < 255)[None].float()
    wider = functional.max_pool2d(hole, 2 * reach + 1, stride=1, padding=reach)[0].numpy() > 0
    kept = np.where(wider, np.uint8(0), background_SS4[..., 3])
    return pictures.with_alpha(background_SS4[..., :3], kept > 0)


def part_of_person(person_SS4: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random crop of the person's box; the encoder's resize makes it as large as the whole was.

    Where nobody is left the picture comes back as it is: `idol_model.feed.sources.Reading` counts it as a fault.
    """
    ys, xs = np.nonzero(person_SS4[..., 3])
    if len(ys) == 0:
        return person_SS4
    left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    body = person_SS4[top:bottom, left:right]
    for _ in range(_TRIES):
        box = _random_box(body.shape[0], body.shape[1], rng)
        part = body[box[1] : box[3], box[0] : box[2]]
        if part[..., 3].any():
            return np.ascontiguousarray(part)
    return person_SS4


def _around(pixels: NDArray[np.int_], side: int, rng: np.random.Generator) -> int:
    """Where a stretch of length ``side`` begins that has the middle of the person in it.

    ``pixels`` counts the person's pixels on each line across. The middle between two parts may show neither of them,
    so one part is drawn, in proportion to its pixels.
    """
    begins, ends = np.flatnonzero(np.diff(pixels > 0, prepend=False, append=False)).reshape(-1, 2).T
    if len(begins) == 0:
        middle = len(pixels) // 2
    else:
        sizes = [pixels[begin:end].sum() for begin, end in zip(begins, ends, strict=True)]
        part = 0 if len(sizes) == 1 else int(rng.choice(len(sizes), p=np.divide(sizes, sum(sizes))))
        middle = int(begins[part] + ends[part] - 1) // 2
    return int(rng.integers(max(0, middle - side + 1), min(len(pixels) - side, middle) + 1))


def _box_with_person(alpha_SS: NDArray[np.uint8], rng: np.random.Generator) -> Box:
    """A random box that shows at least half of the person; the whole picture where none is found."""
    whole = np.count_nonzero(alpha_SS)
    for _ in range(_TRIES):
        left, top, right, bottom = box = _random_box(alpha_SS.shape[0], alpha_SS.shape[1], rng)
        if 2 * np.count_nonzero(alpha_SS[top:bottom, left:right]) >= whole:
            return box
    return (0, 0, alpha_SS.shape[1], alpha_SS.shape[0])


def _random_box(height: int, width: int, rng: np.random.Generator) -> Box:
    """A box of the picture's own proportions."""
    share = float(np.sqrt(rng.uniform(*_SCALE)))
    tall, wide = max(1, round(share * height)), max(1, round(share * width))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    return left, top, left + wide, top + tall


def _zoomed(picture: NDArray, box: Box, resampling: Image.Resampling = Image.Resampling.BILINEAR) -> NDArray:
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize(size, resampling, box=box))
