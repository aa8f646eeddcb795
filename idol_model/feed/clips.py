"""The clips of a data set that are trained on."""

from dataclasses import dataclass
from typing import Any

from idol_model import data
from idol_prep.schema import Dataset, Split


@dataclass(frozen=True, slots=True)
class TrainingClips:
    """The training split of a data set, in the order of its ids."""

    dataset: Dataset
    ids: tuple[str, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, dataset: Dataset, split: Split = "train") -> "TrainingClips":
        """Raises `DataShortage` where the split is empty."""
        records = sorted(dataset.records(split), key=lambda record: record.id)
        if not records:
            raise data.DataShortage(f"the data set has no clip in its {split!r} split; prepare more clips")
        return cls(dataset, tuple(r.id for r in records), tuple(r.frames for r in records))

    def clip(self, position: int) -> Any:
        """The clip at a position of `ids`."""
        return self.dataset.clip(self.ids[position])
