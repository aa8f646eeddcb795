"""One model on two devices: by how much its denoiser's answer and its gradient differ."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu import models
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising
from idol_model.phases import DiffusionStep
from idol_model.recipe import Recipe
from idol_model.transfer import moved

FP32, BF16 = 1e-4, 2e-2
"""Goals: norm of the difference over the norm of the CPU's float32 answer, TF32 off."""


def without_tf32() -> None:
    """Products and convolutions of float32 in float32."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def compared(recipe: Recipe, device: str, built_on: str = "cpu") -> dict[str, Any]:
    """Errors of the device against the CPU: call and gradient in float32, the same in bf16.

    The call in bf16 has its weights in bf16, as generation has; the gradient in bf16 is autocast, as training is. A
    gradient in bf16 has no goal: how much its rounding matters depends on how far its terms cancel.
    """
    without_tf32()
    there = models.random_model(recipe, built_on).to(device).eval()
    here = deepcopy(there).to("cpu")
    frames = recipe.stages[-1].frames if recipe.stages else 8
    batch = models.pictures(here, recipe, 1, min(frames, 2))
    exact, near = answer(here, recipe, batch), answer(there, recipe, batch, device)
    call = {"call_fp32": error([near], [exact])}
    losses, true = gradient(here, recipe, batch)
    device_losses, own = gradient(there, recipe, batch, device)
    found = call | {"gradient_fp32": error(own, true)}
    _, rounded = gradient(there, recipe, batch, device, torch.bfloat16)
    low = answer(there.bfloat16(), recipe, batch, device, torch.bfloat16)
    found |= {"call_bf16": error([low], [exact]), "gradient_bf16": error(rounded, true)}
    passed = found["call_fp32"] <= FP32 and found["gradient_fp32"] <= FP32 and found["call_bf16"] <= BF16
    return found | {
        "passed": passed,
        "loss_cpu": losses,
        "loss_device": device_losses,
        "parameters": sum(p.numel() for net in (here.unet, here.pose_control) for p in net.parameters()),
    }


@torch.no_grad()
def answer(
    model: IdolModel, recipe: Recipe, batch: Any, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Tensor:
    """One denoising call at the middle of the schedule, float32 on the CPU."""
    model.zero_grad(set_to_none=True)
    own = moved(batch, torch.device(device))
    z, seen, background = inputs(model, recipe, batch, device)
    sent = [x.to(dtype) for x in (z, seen, background, own.pose_BLCHW)]
    t_B = torch.full((z.shape[1],), recipe.diffusion.train_steps // 2, device=device)
    tokens = model.tokens(sent[1])
    return model(sent[0], t_B, tokens, sent[2], sent[3]).float().cpu()


@torch.no_grad()
def inputs(model: IdolModel, recipe: Recipe, batch: Any, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Noise in place of latents, what the foreground encoder read, a background: the same numbers on every device."""
    draw = torch.Generator().manual_seed(2)
    latent = recipe.data.size // model.codec.factor
    shape = (model.codec.latent_channels, latent, latent)
    samples, frames = batch.pose_BLCHW.shape[:2]
    z = torch.randn(model.streams, samples, frames, *shape, generator=draw)
    background = torch.randn(samples, *shape, generator=draw)
    dtype = next(model.foreground.parameters()).dtype
    seen = model.foreground.read(batch.foreground_BCHW.to(device, dtype))
    return z.to(device), seen, background.to(device)


def gradient(
    model: IdolModel, recipe: Recipe, batch: Any, device: str = "cpu", low: torch.dtype | None = None
) -> tuple[float, list[Tensor]]:
    """Loss and gradient of the whole training step (Eq. 7), with the codec's encoding in it; autocast to ``low``."""
    model.requires_grad_(True)
    model.codec.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    step = DiffusionStep(JointDenoising(recipe.objective, Diffusion(recipe.diffusion)), model)
    kind = torch.device(device).type
    with torch.autocast(kind, low, enabled=low is not None):
        losses = step(moved(batch, torch.device(device)), Chance.of((5,), range(len(batch.ids))))
    losses.total.backward()
    found = [torch.zeros(()) if p.grad is None else p.grad for p in model.parameters() if p.requires_grad]
    model.zero_grad(set_to_none=True)
    return losses.total.item(), found


def error(ours: Iterable[Tensor], true: Iterable[Tensor]) -> float:
    """Norm of the difference over the norm of the truth, over all tensors together; summed where ``ours`` lies."""
    apart = norm = 0.0
    for own, exact in zip(ours, true, strict=True):
        exact = exact.to(own.device, torch.float32)
        apart += (own.float() - exact).square().sum(dtype=torch.float64).item()
        norm += exact.square().sum(dtype=torch.float64).item()
    return (apart / norm) ** 0.5 if norm else float("nan")
