"""Models with random weights in which every layer works, and batches of random content."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from idol_model.foreground import ClipForegroundConfig
from idol_model.model import IdolModel
from idol_model.recipe import Recipe
from idol_model.types import CachedBatch, ClipBatch


def random_model(recipe: Recipe, device: str, seed: int = 0) -> IdolModel:
    """Built where it will run. What is zero at initialisation is random too, else half the paper would be idle."""
    torch.manual_seed(seed)
    with torch.device(device):
        model = IdolModel.from_recipe(recipe)
    return awake(model.to(device))


@torch.no_grad()
def awake(model: IdolModel) -> IdolModel:
    """Fill the zeros of U-Net and pose network: weights with a standard deviation of 0.02, biases stay."""
    for network in (model.unet, model.pose_control):
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.02)
    return model


def wide(recipe: Recipe) -> Recipe:
    """U-Net and pose network of the recipe's own widths and heads, one block a stage; codec and CLIP tower are narrow.

    Pictures are 64 x 64. What is left out is depth and size, no kind of layer.
    """
    pose = recipe.pose_control
    fewer = {"depth": 1} if hasattr(pose, "depth") else {}
    return dataclasses.replace(
        recipe,
        unet=dataclasses.replace(recipe.unet, depth=1),
        pose_control=dataclasses.replace(pose, **fewer),
        foreground=_short(recipe.foreground),
        codec=_narrow(recipe.codec),
        data=dataclasses.replace(recipe.data, size=64),
        weights=(),
        init_from=None,
    )


def _short(config: Any) -> Any:
    if not isinstance(config, ClipForegroundConfig):
        return config
    return dataclasses.replace(config, hidden=64, layers=1, heads=2, size=56)


def _narrow(config: Any) -> Any:
    return dataclasses.replace(config, widths=(32,) * 4, depth=1) if hasattr(config, "widths") else config


def pictures(model: IdolModel, recipe: Recipe, samples: int, frames: int, device: str = "cpu") -> ClipBatch:
    """A batch of noise as pictures; drawn on the CPU, the same on every device."""
    size, side = recipe.data.size, model.foreground.input_size
    draw = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw).to(device)

    return ClipBatch(
        ids=("noise",) * samples,
        video_BLCHW=noise(samples, frames, 3, size, size) * 2 - 1,
        depth_BLCHW=noise(samples, frames, 3, size, size) * 2 - 1,
        pose_BLCHW=noise(samples, frames, 3, size, size),
        foreground_BCHW=noise(samples, 3, side, side),
        background_BCHW=noise(samples, 3, size, size) * 2 - 1,
    )


@torch.no_grad()
def latents(model: IdolModel, recipe: Recipe, samples: int, frames: int, device: str = "cpu") -> CachedBatch:
    """A batch of noise as a latent cache gives it."""
    batch = pictures(model, recipe, samples, frames, device)
    latent = recipe.data.size // model.codec.factor
    shape = (model.codec.latent_channels, latent, latent)
    return CachedBatch(
        ids=batch.ids,
        z_SBLCHW=torch.randn(model.streams, samples, frames, *shape, device=device),
        background_BCHW=torch.randn(samples, *shape, device=device),
        poses_BLHW3=(batch.pose_BLCHW * 255).to(torch.uint8).movedim(2, -1).contiguous(),
        foreground=model.foreground.read(batch.foreground_BCHW),
    )


def codec_pictures(model: IdolModel, recipe: Recipe, samples: int, device: str) -> Tensor:
    """What one step of a codec's training takes, [samples, C, S, S]."""
    import numpy as np

    picture = np.zeros((recipe.data.size, recipe.data.size, 3), np.uint8)
    channels = model.codec.examples(picture, picture)[0].shape[-1]
    return torch.rand(samples, channels, recipe.data.size, recipe.data.size, device=device) * 2 - 1


def parts(model: IdolModel) -> dict[str, nn.Module]:
    """The model's parts by name."""
    return {name: getattr(model, name) for name in ("unet", "pose_control", "foreground", "codec")}
