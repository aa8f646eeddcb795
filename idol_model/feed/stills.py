"""Still pictures in shards as training data for stages of one frame: what they cannot give, and samples of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idol_model import data
from idol_model.data import DataShortage
from idol_model.feed.order import Key, ShardOrder
from idol_model.feed.sources import Reading
from idol_model.inputs import ClipInputs
from idol_model.recipe import Recipe
from idol_model.windows import Window
from idol_prep.schema import StillSet


@dataclass(frozen=True, slots=True)
class TrainingStills:
    """All pictures of a set."""

    stills: StillSet

    @property
    def root(self) -> Path:
        """The set's folder."""
        return self.stills.root

    @property
    def items(self) -> int:
        """How many pictures there are."""
        return len(self.stills)

    @property
    def content_hash(self) -> str:
        """Over its shards."""
        return self.stills.content_hash

    def source(self, reading: Reading) -> "StillSource":
        """Its pictures as a recipe reads them."""
        return StillSource(self.stills, reading)

    def lacks(self, recipe: Recipe) -> Iterator[str]:
        """A line for each thing of the recipe that pictures cannot have."""
        needed = {
            "depth track": recipe.makes_depth,
            "poses": recipe.reads_poses,
            "clean plate": recipe.data.background != "reference",
            "frames in a row": any(stage.frames > 1 for stage in recipe.stages),
            "clips for training a codec": recipe.codec_stage is not None,
        }
        for what in (name for name, wanted in needed.items() if wanted):
            yield f"{self.root}: still pictures have no {what}, which recipe {recipe.name} needs; give prepared clips"


class StillSource:
    """Pictures of shards: windows of one frame."""

    def __init__(self, stills: StillSet, reading: Reading) -> None:
        self.name = str(stills.root)
        self._stills, self._reading = stills, reading

    def order(self, frames: int, key: Key) -> ShardOrder:
        """As `Source.order`."""
        if frames > 1:
            raise DataShortage(f"{self.name}: holds still pictures, a window has {frames} frames; give prepared clips")
        return ShardOrder([shard.samples for shard in self._stills.shards], key)

    def sample(self, window: Window) -> ClipInputs:
        """As `Source.sample`."""
        still, rng = self._stills.sample(window.clip), self._reading.rng(window)
        person = still.mask > 0
        top, left, side = self._reading.augment.square(person, rng)
        square = (slice(top, top + side), slice(left, left + side))
        inputs = data.still_inputs(still.key, still.picture[square], person[square], self._reading.data)
        return self._reading.augmented(inputs, rng)

    def label(self, item: int) -> str:
        """As `Source.label`."""
        return f"picture {item}"
