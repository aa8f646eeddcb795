"""The chain of a recipe (App. B): the runs it begins from, first to last, each continuing where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from idol_model import recipes
from idol_model.recipe import Recipe
from idol_model.run_state import RunFolder


@dataclass(frozen=True, slots=True)
class Link:
    """One run of a chain."""

    recipe: Recipe
    run: Path

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of what the run trains, in order."""
        codec = () if self.recipe.codec_stage is None else ("codec",)
        return codec + tuple(stage.name for stage in self.recipe.stages)

    @property
    def finished(self) -> bool:
        """Whether its model is in place."""
        return RunFolder(self.run).finished


Known = Callable[[str], Recipe]


def links(recipe: Recipe, run: Path, known: Known = recipes.get) -> tuple[Link, ...]:
    """The chain that ends with ``recipe`` in ``run``.

    A recipe whose ``init_from`` is a folder named as a recipe comes after that recipe's run in it; anything else there
    is a model that is finished already.
    """
    last = Link(recipe, run)
    earlier = Path(recipe.init_from) if recipe.init_from else None
    if earlier is None or earlier.is_file() or earlier.name not in recipes.names():
        return (last,)
    if (earlier / "unet").is_dir():  # a model's folder rather than a run's
        return (last,)
    return (*links(known(earlier.name), earlier, known), last)


def with_stage(chain: tuple[Link, ...], stage: str) -> Link:
    """The link that has a stage of this name.

    Raises:
        ValueError: none or several have; the message names them all.
    """
    having = [link for link in chain if stage in link.stages]
    if len(having) != 1:
        named = ", ".join(f"{link.recipe.name} has {', '.join(link.stages)}" for link in chain)
        raise ValueError(f"--stage {stage}: {'no' if not having else 'more than one'} run of the chain has it; {named}")
    return having[0]
