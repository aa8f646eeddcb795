"""Recipes by name: each is a function that returns a configuration, never a copied file."""

from collections.abc import Callable

from idol_model.config import ConfigError
from idol_model.recipe import Recipe
from idol_model.recipes.debug import debug
from idol_model.recipes.demo import demo
from idol_model.recipes.idol import idol

_RECIPES: dict[str, Callable[[], Recipe]] = {"idol": idol, "demo": demo, "debug": debug}


def names() -> tuple[str, ...]:
    """All recipes, the paper's main one first."""
    return tuple(_RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    if name not in _RECIPES:
        raise ConfigError(f"recipe {name!r}: unknown; choose from {', '.join(_RECIPES)}")
    return _RECIPES[name]()
