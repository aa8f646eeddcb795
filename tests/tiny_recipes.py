"""Every recipe of the paper at a size for tests: the same sockets, kinds and stages, narrow networks."""

import atexit
import dataclasses
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from idol_model import recipes
from idol_model.codecs import ConvCodecConfig
from idol_model.foreground import ClipForegroundConfig, ConvForegroundConfig
from idol_model.model import IdolModel
from idol_model.pose_control import ControlNetConfig, NoPoseConfig, T2IAdapterConfig
from idol_model.recipe import Recipe
from idol_model.training import save_model

SIDE = 32
_NET = {"widths": (16, 32), "depth": 1, "attention": (True, False), "tokens": 12, "heads": 2, "groups": 4}


def tiny(name: str) -> Recipe:
    """The recipe of that name, narrow, without weights to load."""
    recipe = recipes.get(name)
    wide = recipe.codec.latent_channels
    return dataclasses.replace(
        recipe,
        unet=dataclasses.replace(recipe.unet, **_NET, in_channels=wide),
        pose_control=_pose_control(recipe.pose_control, wide),
        foreground=_foreground(recipe.foreground),
        codec=_codec(recipe.codec),
        data=dataclasses.replace(recipe.data, size=SIDE),
        sampling=dataclasses.replace(recipe.sampling, steps=2),
        weights=(),
        init_from=None,
    )


def named_run(name: str) -> str | None:
    """The recipe of the run that the recipe ``name`` begins from; None where it begins from published weights alone."""
    earlier = recipes.get(name).init_from
    return None if earlier is None else Path(earlier).name


@functools.cache
def finished(name: str) -> Path:
    """A run folder of the tiny recipe with a model of random weights in it, made once a session."""
    folder = Path(tempfile.mkdtemp(prefix=f"idol-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(11)
    save_model(IdolModel.from_recipe(tiny(name)), tiny(name), folder / "model", "distance")
    return folder


def after_its_run(name: str) -> Recipe:
    """The tiny recipe, beginning from a finished run of the recipe that it names."""
    earlier = named_run(name)
    return dataclasses.replace(tiny(name), init_from=None if earlier is None else str(finished(earlier)))


def _pose_control(config: Any, channels: int) -> Any:
    if isinstance(config, ControlNetConfig):
        return dataclasses.replace(config, **_NET, in_channels=channels, hint_widths=(4, 4, 8, 8))
    if isinstance(config, T2IAdapterConfig):
        return dataclasses.replace(config, widths=(16, 32), depth=1)
    assert isinstance(config, NoPoseConfig)
    return config


def _foreground(config: Any) -> Any:
    if isinstance(config, ClipForegroundConfig):
        return ClipForegroundConfig(tokens=12, hidden=16, layers=1, heads=2, patch=8, size=16)
    return ConvForegroundConfig(tokens=12, width=8, depth=1, size=16, factor=8)


def _codec(config: Any) -> Any:
    if isinstance(config, ConvCodecConfig):
        return dataclasses.replace(config, width=8, depth=1)
    return dataclasses.replace(config, widths=(8, 8, 8, 8), depth=1, groups=4)
