"""IDOL (ECCV 2024): the dual-modal diffusion model, its losses, training and sampling."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idol_model.model import IdolModel
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe

__all__ = ["IdolModel", "IdolPipeline", "Recipe"]

_HOMES = {"IdolModel": "model", "IdolPipeline": "pipeline", "Recipe": "recipe"}


def __getattr__(name: str) -> Any:
    """Public names load their heavy modules when first used, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
