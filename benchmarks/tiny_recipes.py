"""Every recipe at toy size, for tests and rehearsals: the same sockets, kinds and stages, narrow networks."""

import dataclasses
from typing import Any

from idol_model import recipes
from idol_model.codecs import ConvCodecConfig
from idol_model.foreground import ClipForegroundConfig, ConvForegroundConfig
from idol_model.pose_control import ControlNetConfig, NoPoseConfig, T2IAdapterConfig
from idol_model.recipe import Recipe

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
