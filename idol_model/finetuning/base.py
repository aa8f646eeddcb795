"""What fine-tuning begins from: the shipped checkpoint by its name, a run, a model's folder or a hub id."""

from dataclasses import dataclass
from pathlib import Path

from idol_model import loading
from idol_model.recipe import Recipe
from idol_model.weights import earlier


@dataclass(frozen=True, slots=True)
class Base:
    """A checkpoint that is whole. ``init_from`` is what a recipe says for it."""

    folder: Path
    recipe: Recipe
    init_from: str

    @classmethod
    def located(cls, name: str) -> "Base":
        """The checkpoint of that name.

        Raises:
            FileNotFoundError: there is none, or the run of that name is not finished.
            idol_model.loading.CheckpointError: it is not a whole checkpoint of ours.
        """
        shipped = f"{earlier.SHIPPED}{name}"
        if not Path(name).is_dir() and shipped in earlier.shipped_names():
            folder = earlier.require(shipped)
            return cls(folder, loading.check(folder), shipped)
        if Path(name, "recipe.json").is_file() and not Path(name, loading.INDEX).is_file():
            folder = earlier.require(name)  # a run's folder
        else:
            folder = loading.resolve(name)
        return cls(folder, loading.check(folder), str(folder))
