"""A tiny real model with random weights, and small inputs, for the tests of generation."""

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from idol_model import IdolModel, IdolPipeline, recipes
from idol_model.recipe import Recipe
from idol_model.sampling import SamplingConfig

SIZE = 32


def recipe(**changes: object) -> Recipe:
    """The debug recipe with three denoising steps."""
    sampling = SamplingConfig(steps=3, guidance=1.5, overlap=2)
    return dataclasses.replace(recipes.get("debug"), sampling=sampling, **changes)


def pipeline(**changes: object) -> IdolPipeline:
    """A pipeline whose weights, zero-initialised ones too, are all random, so that every condition speaks."""
    torch.manual_seed(0)
    model = IdolModel.from_recipe(recipe(**changes))
    with torch.no_grad():
        for parameter in (*model.unet.parameters(), *model.pose_control.parameters()):
            if not parameter.any():
                parameter.normal_(std=0.2)
    return IdolPipeline.from_model(model, recipe(**changes), "distance")


@cache
def shared() -> IdolPipeline:
    """One pipeline for tests that do not change it."""
    return pipeline()


def person(height: int = 40, width: int = 30) -> np.ndarray:
    """uint8 [H, W, 4]: a block in the middle of nothing."""
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[height // 4 : -height // 4, width // 3 : -width // 3] = (200, 90, 40, 255)
    return rgba


def background(height: int = 50, width: int = 70) -> np.ndarray:
    """uint8 [H, W, 3]: a gradient."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 4, x * 3, np.full_like(x, 90)], axis=-1).astype(np.uint8)


def drawn_poses(frames: int, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    """uint8 [L, H, W, 3]: a coloured stick that wanders over black."""
    poses = np.zeros((frames, height, width, 3), np.uint8)
    for number, pose in enumerate(poses):
        x = width // 3 + number % (width // 3)
        pose[height // 8 : height // 2, x : x + 3] = (255, 0, 85)
        pose[height // 2 : -height // 8, x : x + 3] = (0, 170, 255)
    return poses


def save_pictures(folder: Path, pictures: np.ndarray) -> Path:
    """PNG files 1.png, 2.png, ... in a new folder."""
    folder.mkdir()
    for number, picture in enumerate(pictures, start=1):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder
