"""The data of a run as the user names it: prepared clips and still pictures, each with its share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

from idol_model.data import DataShortage
from idol_model.feed.clips import JoinedClips, TrainingClips
from idol_model.feed.sources import Reading, Source
from idol_model.feed.stills import TrainingStills
from idol_model.recipe import Recipe
from idol_prep.schema import Dataset, Polarity, StillSet

_STILLS_FILE = "stills.json"


@dataclass(frozen=True, slots=True)
class DataPart:
    """One source as it is named: a folder, and its weight beside the others'."""

    path: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "DataPart":
        """``PATH`` or ``PATH=WEIGHT``; a folder whose own name ends like that is taken as it is."""
        path, equals, weight = text.rpartition("=")
        if not equals or Path(text).exists():
            return cls(Path(text))
        try:
            return cls(Path(path), float(weight))
        except ValueError:
            raise ValueError(
                f"--data {text}: {weight!r} is no weight; write PATH=WEIGHT, for example {path}=0.3"
            ) from None


class Content(Protocol):
    """What a folder holds, as training data."""

    @property
    def root(self) -> Path: ...
    @property
    def items(self) -> int: ...
    @property
    def content_hash(self) -> str: ...
    def source(self, reading: Reading) -> Source: ...
    def lacks(self, recipe: Recipe) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The sources of a run, opened, in the order in which they were named."""

    parts: tuple[DataPart, ...]
    contents: tuple[Content, ...]

    @classmethod
    def open(cls, named: "Path | Sequence[DataPart]") -> "TrainingData":
        """One folder, or several with their weights.

        Raises:
            DataShortage: one has no clip to train on.
            idol_prep.schema.DataError: one is neither prepared clips nor a set of still pictures.
        """
        parts = (DataPart(named),) if isinstance(named, Path) else tuple(named)
        return cls(parts, tuple(_opened(part.path) for part in parts))

    @property
    def clips(self) -> list[TrainingClips]:
        """The sources that are prepared clips."""
        return [content for content in self.contents if isinstance(content, TrainingClips)]

    @property
    def weights(self) -> list[float]:
        """The weight of each source."""
        return [part.weight for part in self.parts]

    @property
    def items(self) -> int:
        """Clips and pictures in all."""
        return sum(content.items for content in self.contents)

    def check(self, recipe: Recipe) -> None:
        """Ask the manifests for all that the recipe needs.

        Raises:
            DataShortage: a track is missing, or depth is of two kinds; the message names source, clip and fix.
        """
        for content in self.contents:
            for line in content.lacks(recipe):
                raise DataShortage(line)
        if recipe.makes_depth:
            _check_depth(self.clips)

    def depth_polarity(self, recipe: Recipe) -> Polarity | None:
        """Which end of the depth is near in the clips that a recipe learns depth from; None for one without depth."""
        return self._polarities()[0] if recipe.makes_depth else None

    def _polarities(self) -> list[Polarity]:
        """One where `check` has passed."""
        found = {polarity for part in self.clips for polarity, _ in part.depth_kinds()}
        return [known for known in get_args(Polarity) if known in found]

    def joined_clips(self) -> JoinedClips:
        """All clips. Raises `DataShortage` where there are none."""
        if not self.clips:
            raise DataShortage(f"{self.parts[0].path}: holds still pictures; give prepared clips with --data")
        return JoinedClips(self.clips)

    def first_dataset(self) -> Dataset:
        """The data set whose held-out clips are looked at. Raises `DataShortage` where there are pictures alone."""
        if not self.clips:
            raise DataShortage(f"{self.parts[0].path}: pictures have no held-out clips to look at; leave --preview out")
        return self.clips[0].dataset

    def record(self) -> list[dict[str, Any]]:
        """What a run notes of its data; the same content and weights in the same order are the same data."""
        return [
            {"path": str(part.path), "weight": part.weight, "content_hash": content.content_hash, **_depth_of(content)}
            for part, content in zip(self.parts, self.contents, strict=True)
        ]


def _opened(path: Path) -> Content:
    if (path / _STILLS_FILE).is_file():
        return TrainingStills(StillSet.open(path))
    return TrainingClips.of(Dataset.open(path))


def _depth_of(content: Content) -> dict[str, str]:
    """The depth polarity of one source as a run notes it; nothing where it has none, or several."""
    kinds = content.depth_kinds() if isinstance(content, TrainingClips) else {}
    found = {polarity for polarity, _ in kinds if polarity}
    return {"depth_polarity": next(iter(found))} if len(found) == 1 else {}


def _check_depth(parts: Sequence[TrainingClips]) -> None:
    """Refuse depth of two kinds: the model could not tell which end is near."""
    found: dict[tuple[str, str], str] = {}
    for part in parts:
        for kind, clip_id in part.depth_kinds().items():
            found.setdefault(kind, f"{part.root}, clip {clip_id}")
    if len(found) > 1:
        (one, here), (other, there) = list(found.items())[:2]
        raise DataShortage(
            f"depth is mixed: polarity {one[0]} and scope {one[1]} in {here}, polarity {other[0]} and scope {other[1]} "
            f"in {there}; train on one kind, or prepare the other again with the same depth annotator"
        )
