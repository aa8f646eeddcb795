"""The data of a run bound to its recipe, its model and its folders: a feed for every stage."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from idol_model import latents
from idol_model.feed.faults import FILE, FaultLog, most_of
from idol_model.feed.feed import Feed, LatentCollate, Origin, PictureCollate
from idol_model.feed.sources import CacheSource, Reading
from idol_model.feed.training_data import TrainingData
from idol_model.latents import Encoders, LatentSource
from idol_model.processes import Alone
from idol_model.recipe import Recipe, Stage

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run keeps what it learns of its data. ``latents`` may be shared by runs; only a run's own is tidied."""

    run: Path
    latents: Path
    group: Alone = field(default_factory=Alone)
    """The processes that make the caches together."""

    @property
    def own(self) -> bool:
        """Whether the caches are this run's alone."""
        return self.latents.is_relative_to(self.run)


class RunData:
    """Feeds of a run's stages, each with so many ``readers`` (`Feed`). Damaged items count over all of them.

    ``encoders`` gives those of the model as they are when a feed is made. All methods are collective.
    """

    def __init__(
        self,
        data: TrainingData,
        recipe: Recipe,
        encoders: Callable[[], Encoders],
        places: Places,
        readers: int | None = None,
    ) -> None:
        self._data, self._recipe, self._encoders, self._places = data, recipe, encoders, places
        self._readers = readers
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
        collate = PictureCollate(self._recipe.data, self._encoders().foreground)
        return Feed(Origin(sources, self._data.weights, self.faults), self._recipe, stage, collate, self._readers)

    def caches(self, told: Told | None = None) -> list[latents.LatentCache]:
        """One cache a source, made where it is not there.

        Raises:
            ValueError: the pictures are augmented.
            OSError: the disk has no room.
        """
        return self._opened(self._made_from(self._encoders()), told)

    def _cached(self, stage: Stage, told: Told | None) -> Feed:
        if len(self._data.clips) < len(self._data.contents):
            raise ValueError(f"stage {stage.name}: cache_latents is for clips; set cache_latents=false for pictures")
        encoders = self._encoders()
        made_from = self._made_from(encoders)
        if self._places.own and self._places.group.main:
            latents.remove_others(self._places.latents, made_from)
        named = zip(self._data.clips, self._opened(made_from, told), strict=True)
        sources = [CacheSource(str(clips.root), cache) for clips, cache in named]
        origin = Origin(sources, self._data.weights, self.faults)
        return Feed(origin, self._recipe, stage, LatentCollate(encoders.foreground), self._readers)

    def _opened(self, made_from: list[LatentSource], told: Told | None) -> list[latents.LatentCache]:
        if self._recipe.data.augment != "none":
            raise ValueError(
                f"cache_latents with data.augment={self._recipe.data.augment!r} would train on pictures as they are; "
                "set stages.N.cache_latents=false"
            )
        return [latents.open_cache(self._places.latents, source, told, self._places.group) for source in made_from]

    def _made_from(self, encoders: Encoders) -> list[LatentSource]:
        """What the cache of each source is made from."""
        how = {"data": self._recipe.data, "tracks": self._reading.tracks, "encoders": encoders}
        return [LatentSource(dataset=clips.dataset, ids=clips.ids, **how) for clips in self._data.clips]
