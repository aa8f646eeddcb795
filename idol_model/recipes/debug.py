"""A run of seconds, for trying a machine and for tests."""

import dataclasses

from idol_model.codecs import ConvCodecConfig
from idol_model.foreground import ConvForegroundConfig
from idol_model.pose_control import ControlNetConfig
from idol_model.recipe import CodecStage, Recipe
from idol_model.recipes.demo import demo
from idol_model.unet import UNetConfig

_SIZES = {
    "in_channels": 4,
    "widths": (16, 32),
    "depth": 1,
    "attention": (True, False),
    "tokens": 16,
    "heads": 2,
    "groups": 4,
}


def debug() -> Recipe:
    """``demo`` with tiny networks on 32 x 32 pictures and a handful of steps; learns nothing."""
    recipe = demo()
    return dataclasses.replace(
        recipe,
        name="debug",
        summary="seconds on any machine: tiny networks, a handful of steps, learns nothing",
        unet=UNetConfig(**_SIZES),
        pose_control=ControlNetConfig(**_SIZES, hint_widths=(8, 8, 16, 16)),
        foreground=ConvForegroundConfig(tokens=16, width=8, depth=1, size=32, factor=8),
        codec=ConvCodecConfig(latent_channels=4, width=8, depth=1),
        data=dataclasses.replace(recipe.data, size=32),
        codec_stage=CodecStage(steps=10, batch_size=4, pictures=64),
        stages=tuple(dataclasses.replace(stage, steps=10, batch_size=2) for stage in recipe.stages),
        precision="fp32",
        log_every=1,
        save_every=5,
    )
