"""Generation with everything in tensors: what `IdolPipeline` does for one window, down to the decoded pictures."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu import models
from benchmarks.gpu.compare import error, without_tf32
from idol_model import IdolPipeline, checkpoint, sampling
from idol_model.model import IdolModel
from idol_model.recipe import Recipe
from idol_model.types import ClipBatch


@torch.no_grad()
def begun(
    model: IdolModel, recipe: Recipe, given: ClipBatch, guidance: float
) -> tuple[sampling.Denoiser, sampling.Start]:
    """One window up to its first step: foreground, background and pose read, noise drawn."""
    like = next(model.unet.parameters())
    sent = [x.to(like.device, like.dtype) for x in (given.foreground_BCHW, given.background_BCHW, given.pose_BLCHW)]
    conditions = sampling.Conditions(
        tokens=sampling.Tokens.of(model.foreground, sent[0]),
        background_BCHW=model.codec.encode_picture(sent[1]),
        pose_BLCHW=model.pose_control.read(sent[2], model.codec),
    )
    background = conditions.background_BCHW
    shape_SCHW = (recipe.unet.streams, *background.shape[1:])
    frames = range(given.pose_BLCHW.shape[1])
    start = sampling.Start.of(0, frames, shape_SCHW, like=background, kind=recipe.diffusion.frame_noise)
    return sampling.Denoiser(model.unet, model.pose_control, conditions, guidance), start


@torch.no_grad()
def generate(model: IdolModel, recipe: Recipe, given: ClipBatch, steps: int, guidance: float) -> Tensor:
    """Pictures [M, B, L, C, H, W] of one window."""
    denoiser, start = begun(model, recipe, given, guidance)
    latents = sampling.denoise(denoiser, recipe.diffusion.scheduler(), start, steps)
    return model.codec.decode_clips(latents.to(next(model.codec.parameters()).dtype))  # latents are float32 throughout


def one_step(model: IdolModel, recipe: Recipe, frames: int) -> Callable[[], Tensor]:
    """One denoising call without guidance, all that it is given being made already."""
    denoiser, start = begun(model, recipe, models.pictures(model, recipe, 1, frames), 1.0)
    t = torch.tensor(500, device=start.noise_SBLCHW.device)
    return torch.no_grad()(lambda: denoiser(start.noise_SBLCHW, t))


def ready(model: IdolModel, recipe: Recipe, frames: int, guidance: float) -> Callable[[int], Tensor]:
    """Generation of noise from noise by a model, as a function of the number of steps."""
    given = models.pictures(model, recipe, 1, frames)
    return lambda steps: generate(model, recipe, given, steps, guidance)


def shipped_errors(device: str, frames: int | None = None, steps: int = 4) -> dict[str, Any]:
    """The shipped checkpoint's steps with the guidance of its recipe: decoded pictures against the CPU's."""
    without_tf32()
    pipe = IdolPipeline.from_pretrained(checkpoint.shipped())
    here = IdolModel(pipe.unet, pipe.pose_control, pipe.foreground, pipe.codec).eval()
    frames = frames or pipe.plan.frames
    given = models.pictures(here, pipe.recipe, 1, frames)
    guidance = pipe.recipe.sampling.guidance
    there = deepcopy(here).to(device)

    def made(model: IdolModel) -> Tensor:
        return generate(model, pipe.recipe, given, steps, guidance).float().cpu()

    exact = made(here)
    found = {"fp32": error([made(there)], [exact]), "bf16": error([made(there.bfloat16())], [exact])}
    return {"steps": steps, "guidance": guidance, "frames": frames, "inputs": "noise"} | found
