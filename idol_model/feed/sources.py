"""What a source of samples is, how a recipe reads pictures, and the source that needs no pictures: a cache of latents.

A source says in which order its items come and reads one sample; `idol_model.feed.feed` makes batches of them. Prepared
clips are in `idol_model.feed.clips`, still pictures in `idol_model.feed.stills`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from idol_model import data, pictures
from idol_model.augment import AUGMENT, Augment
from idol_model.data import DataShortage, Tracks
from idol_model.feed.order import ClipOrder, Key, Order
from idol_model.inputs import ClipInputs
from idol_model.latents import LatentCache, LatentSample
from idol_model.recipe import DataConfig, Recipe
from idol_model.windows import Window

_AUGMENTED = 5
"""Word that keeps the random stream of augmentation apart."""


class Source(Protocol):
    """One source of samples."""

    @property
    def name(self) -> str:
        """Its folder, for messages."""
        ...

    def order(self, frames: int, key: Key) -> Order:
        """In which order its items come, in windows of ``frames`` frames; raises `DataShortage` where it has none."""
        ...

    def sample(self, window: Window) -> Any:
        """One sample. Raises `DataShortage`, `idol_prep.schema.DataError` or OSError where it cannot be read."""
        ...

    def label(self, item: int) -> str:
        """An item's name."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How a recipe reads pictures: colours, sizes, tracks, augmentation and the seed of its chance."""

    data: DataConfig
    tracks: Tracks
    augment: Augment
    seed: int

    @classmethod
    def of(cls, recipe: Recipe) -> "Reading":
        """Only tracks that the recipe has a use for."""
        depth = data.clip_depth if recipe.makes_depth else data.no_depth
        poses = data.styled_poses if recipe.reads_poses else data.no_poses
        return cls(recipe.data, Tracks(depth, poses), AUGMENT[recipe.data.augment], recipe.seed)

    def rng(self, window: Window) -> np.random.Generator:
        """All chance in one sample's pictures."""
        return np.random.default_rng([self.seed, _AUGMENTED, window.number])

    def augmented(self, inputs: ClipInputs, rng: np.random.Generator) -> ClipInputs:
        """The pictures as the recipe shows them. Raises `DataShortage` where nobody is left, and says why."""
        shown = self.augment(inputs, rng)
        if not shown.foreground[..., 3].any():
            raise DataShortage(f"{inputs.id}: {_why_nobody(inputs)}")
        return shown


def _why_nobody(inputs: ClipInputs) -> str:
    """Why augmentation, which takes its person from the centred square, has found none."""
    if pictures.crop_square(inputs.foreground[None])[..., 3].any():
        return "the person is too small to be cropped; leave it out"
    return "the person lies outside the centred square, the only part that is used; prepare it with --crop person"


class CacheSource:
    """Windows read from a cache of latents."""

    def __init__(self, name: str, cache: LatentCache) -> None:
        self.name = name
        self._cache = cache

    def order(self, frames: int, key: Key) -> ClipOrder:
        """As `Source.order`."""
        return ClipOrder(self._cache.lengths, frames, key)

    def sample(self, window: Window) -> LatentSample:
        """As `Source.sample`."""
        return self._cache.sample(window)

    def label(self, item: int) -> str:
        """As `Source.label`."""
        return self._cache.ids[item]
