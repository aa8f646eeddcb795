"""The data of a run bound to its recipe, its model and its folders: a feed for every stage."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from idol_model import latents
from idol_model.feed.faults import FILE, FaultLog, most_of
from idol_model.feed.feed import Feed, LatentCollate, Origin, PictureCollate
from idol_model.feed.sources import CacheSource, Reading
from idol_model.feed.training_data import TrainingData
from idol_model.latents import LatentSource
from idol_model.model import IdolModel
from idol_model.recipe import Recipe, Stage

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run keeps what it learns of its data. ``latents`` may be shared by runs; only a run's own is tidied."""

    run: Path
    latents: Path

    @property
    def own(self) -> bool:
        """Whether the caches are this run's alone."""
        return self.latents.is_relative_to(self.run)


class RunData:
    """Feeds of a run's stages, each with so many ``readers`` (`Feed`). Damaged items count over all of them."""

    def __init__(
        self, data: TrainingData, recipe: Recipe, model: IdolModel, places: Places, readers: int | None = None
    ) -> None:
        self._data, self._recipe, self._model, self._places, self._readers = data, recipe, model, places, readers
        self._reading = Reading.of(recipe)
        self.faults = FaultLog(places.run / FILE, most_of(recipe.data.most_faults, data.items))

    def feed(self, stage: Stage, told: Told | None = None) -> Feed:
        """The batches of a stage; its caches are made first where it wants them.

        Raises:
            DataShortage: no item is long enough.
            ValueError: the stage wants a cache of pictures that are augmented.
        """
        if stage.cache_latents:
            return self._cached(stage, told)
        sources = [content.source(self._reading) for content in self._data.contents]
        collate = PictureCollate(self._recipe.data, self._model.foreground)
        return Feed(Origin(sources, self._data.weights, self.faults), self._recipe, stage, collate, self._readers)

    def caches(self, told: Told | None = None) -> list[latents.LatentCache]:
        """One cache a source, made where it is not there.

        Raises:
            ValueError: the pictures are augmented.
            OSError: the disk has no room.
        """
        if self._recipe.data.augment != "none":
            raise ValueError(
                f"cache_latents with data.augment={self._recipe.data.augment!r} would train on pictures as they are; "
                "set stages.N.cache_latents=false"
            )
        return [latents.open_cache(self._places.latents, source, told) for source in self._made_from()]

    def tidy(self) -> None:
        """Delete caches of other weights, data or settings, where caches are the run's own."""
        if self._places.own:
            latents.remove_others(self._places.latents, self._made_from())

    def _cached(self, stage: Stage, told: Told | None) -> Feed:
        if len(self._data.clips) < len(self._data.contents):
            raise ValueError(f"stage {stage.name}: cache_latents is for clips; set cache_latents=false for pictures")
        self.tidy()
        named = zip(self._data.clips, self.caches(told), strict=True)
        sources = [CacheSource(str(clips.root), cache) for clips, cache in named]
        origin = Origin(sources, self._data.weights, self.faults)
        return Feed(origin, self._recipe, stage, LatentCollate(self._model.foreground), self._readers)

    def _made_from(self) -> list[LatentSource]:
        """What the cache of each source is made from."""
        how = {"data": self._recipe.data, "tracks": self._reading.tracks, "model": self._model}
        return [LatentSource(dataset=clips.dataset, ids=clips.ids, **how) for clips in self._data.clips]
