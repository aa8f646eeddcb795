"""Windows to batches: from prepared clips, or from a cache of their latents."""

from typing import Any

import numpy as np

from idol_model import data
from idol_model.augment import AUGMENT
from idol_model.feed.clips import TrainingClips
from idol_model.inputs import ClipInputs
from idol_model.latents import LatentCache
from idol_model.model import IdolModel
from idol_model.recipe import Recipe
from idol_model.types import ClipBatch, LatentBatch
from idol_model.windows import Window


class ClipSource:
    """Batches read from prepared clips, pictures and all."""

    def __init__(self, clips: TrainingClips, recipe: Recipe, model: IdolModel) -> None:
        self.lengths = clips.lengths
        self._clips, self._data, self._look = clips, recipe.data, model.foreground
        self._augment, self._seed = AUGMENT[recipe.data.augment], recipe.seed

    def batch(self, windows: Any) -> ClipBatch:
        """The pictures of these windows."""
        inputs = [self._inputs(window) for window in windows]
        return data.clip_batch(inputs, self._data, self._look, [window.foreground_left_out for window in windows])

    def _inputs(self, window: Window) -> ClipInputs:
        found = data.clip_inputs(
            self._clips.clip(window.clip),
            self._data,
            start=window.start,
            stop=window.stop,
            background=window.background,
            reference=window.start if self._augment.rebuilds else 0,
        )
        return self._augment(found, np.random.default_rng([self._seed, 5, window.number]))


class CacheSource:
    """Batches read from a latent cache."""

    def __init__(self, cache: LatentCache, model: IdolModel) -> None:
        self.lengths = cache.lengths
        self._cache, self._look = cache, model.foreground

    def batch(self, windows: Any) -> LatentBatch:
        """The latents of these windows."""
        return self._cache.batch(windows, self._look)
