"""Prepared clips as training data: what they lack for a recipe, and their windows as samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from idol_model import data
from idol_model.feed.order import ClipOrder, Key
from idol_model.feed.sources import Reading
from idol_model.inputs import ClipInputs
from idol_model.recipe import Recipe
from idol_model.windows import Window
from idol_prep import pose
from idol_prep.schema import Clip, Dataset, Split

_PLATE = "background.png"


class Clips(Protocol):
    """Clips by position."""

    @property
    def lengths(self) -> Sequence[int]:
        """Frames of each."""
        ...

    def clip(self, position: int) -> Clip:
        """The clip at a position; raises `idol_prep.schema.DataError`."""
        ...


@dataclass(frozen=True, slots=True)
class TrainingClips:
    """The training split of a data set, in the order of its ids."""

    dataset: Dataset
    split: Split
    ids: tuple[str, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, dataset: Dataset, split: Split = "train") -> "TrainingClips":
        """Raises `DataShortage` where the split is empty."""
        records = dataset.records(split)
        if len(records) == 0:
            raise data.DataShortage(f"{dataset.root}: has no clip in its {split!r} split; prepare more clips")
        return cls(dataset, split, tuple(records.ids()), tuple(records.column("frames").tolist()))

    @property
    def root(self) -> Path:
        """The data set's folder."""
        return self.dataset.root

    @property
    def items(self) -> int:
        """How many clips there are."""
        return len(self.ids)

    @property
    def content_hash(self) -> str:
        """Of the whole data set."""
        return self.dataset.content_hash

    def clip(self, position: int) -> Clip:
        """The clip at a position of `ids`."""
        return self.dataset.clip(self.ids[position])

    def source(self, reading: Reading) -> "ClipSource":
        """Their windows as a recipe reads them."""
        return ClipSource(self, reading)

    def lacks(self, recipe: Recipe) -> Iterator[str]:
        """A line for each track of the recipe that clips lack, with the first such clip and the fix."""
        records = self.dataset.records(self.split)
        if recipe.makes_depth:
            has = records.column("depth_polarity").astype(bool)
            yield from self._first(~has, "no depth track; prepare it again with a depth annotator")
        if recipe.reads_poses and recipe.data.pose == "dwpose":
            has = np.isin(records.column("keypoint_format"), list(pose.WHOLE_BODY_FORMATS))
            fix = "prepare it again with a whole-body pose annotator, or set data.pose=openpose"
            yield from self._first(~has, f"no hands and face for data.pose=dwpose; {fix}")
        if recipe.data.background != "reference":
            has = self._plates()
            yield from self._first(~has, f"no clean plate ({_PLATE}); set data.background=reference")

    @property
    def has_plates(self) -> bool:
        """Whether every clip has a clean plate."""
        return bool(self._plates().all())

    def depth_kinds(self) -> dict[tuple[str, str], str]:
        """Polarities and scopes of the depth tracks, each with the first clip that has it."""
        records = self.dataset.records(self.split)
        kinds = np.stack([records.column(f"depth_{name}") for name in ("polarity", "scope")], axis=1).astype(str)
        found, first = np.unique(kinds, axis=0, return_index=True)
        return {(polarity, scope): self.ids[at] for (polarity, scope), at in zip(found.tolist(), first, strict=True)}

    def _plates(self) -> NDArray[np.bool_]:
        """Which clips have a clean plate."""
        return np.array([_PLATE in record.files for record in self.dataset.records(self.split)])

    def _first(self, wrong: NDArray[np.bool_], what: str) -> Iterator[str]:
        for position in np.flatnonzero(wrong)[:1]:
            yield f"{self.root}: clip {self.ids[position]} has {what}"


class JoinedClips:
    """The clips of several data sets, one after another."""

    def __init__(self, parts: Sequence[TrainingClips]) -> None:
        self._places = [(part, position) for part in parts for position in range(part.items)]
        self.lengths = [part.lengths[position] for part, position in self._places]

    def clip(self, position: int) -> Clip:
        """The clip at a position over all parts."""
        part, place = self._places[position]
        return part.clip(place)


class ClipSource:
    """Windows of prepared clips, pictures and all."""

    def __init__(self, clips: TrainingClips, reading: Reading) -> None:
        self.name = str(clips.dataset.root)
        self._clips, self._reading = clips, reading

    def order(self, frames: int, key: Key) -> ClipOrder:
        """As `Source.order`."""
        return ClipOrder(self._clips.lengths, frames, key)

    def sample(self, window: Window) -> ClipInputs:
        """As `Source.sample`."""
        found = data.clip_inputs(
            self._clips.clip(window.clip),
            self._reading.data,
            start=window.start,
            stop=window.stop,
            background=window.background,
            reference=window.start if self._reading.augment.rebuilds else 0,
            tracks=self._reading.tracks,
        )
        return self._reading.augmented(found, self._reading.rng(window))

    def label(self, item: int) -> str:
        """As `Source.label`."""
        return self._clips.ids[item]
