"""Pre-trained weights that a run starts from: published ones, then those of an earlier run over them."""

from idol_model.model import IdolModel
from idol_model.recipe import Recipe
from idol_model.weights import earlier, sources
from idol_model.weights.earlier import depth_polarity
from idol_model.weights.fit import Fit, WeightsError


def check_present(recipe: Recipe) -> None:
    """Ask for all weights before any work.

    Raises:
        FileNotFoundError: some are not on this machine; the message names the command that brings them.
    """
    for name in recipe.weights:
        sources.require(name)
    if recipe.init_from is not None:
        earlier.require(recipe.init_from)


def start_from(recipe: Recipe, model: IdolModel) -> list[Fit]:
    """Fill ``model`` with the weights that the recipe names, and say what was filled and what is new.

    Raises:
        FileNotFoundError: as `check_present`.
        WeightsError: they do not fit.
    """
    fits = [fit for name in recipe.weights for fit in sources.SOURCES[name].load(model, sources.require(name), name)]
    if recipe.init_from is not None:
        fits += earlier.load_from(model, earlier.require(recipe.init_from))
    return fits


__all__ = ["Fit", "WeightsError", "check_present", "depth_polarity", "start_from"]
