"""What a stage will hold in memory, before it runs: one step made of tensors without content, its storages counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from idol_model import selection
from idol_model.chance import Chance
from idol_model.checkpoint import KEPT
from idol_model.codec_trainer import CodecStep, codec_as_stage
from idol_model.diffusion import Diffusion
from idol_model.engines import zero
from idol_model.live_bytes import LiveBytes
from idol_model.lora.layers import adaptation
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising
from idol_model.optimizers import OPTIMIZERS
from idol_model.phases import DiffusionStep
from idol_model.recipe import Recipe, Stage
from idol_model.types import CachedBatch, ClipBatch
from idol_model.unet.blocks import recompute

_PRECISION = {"bf16": torch.bfloat16, "fp16": torch.float16}
_WORD = 4
"""Bytes of a weight, a gradient and a running mean: float32 in every precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMemory:
    """Bytes that one process holds in a stage, on top of what its libraries take (about 1 GB on a GPU).

    ``windows`` go through the networks at once; ``weights`` by part of the model; ``activations`` is the most that such
    a piece of a step holds beside the rest.
    ``host`` is what ``memory.offload`` keeps in the CPU's memory, which is no part of the total. ``saved`` is the
    optimiser's state in a checkpoint, wherever it is kept.
    """

    stage: str
    windows: int
    weights: dict[str, int]
    gradients: int
    optimizer: int
    running_mean: int
    activations: int
    host: int
    saved: int

    @property
    def total(self) -> int:
        """All of it but ``host``."""
        return sum(self.weights.values()) + self.gradients + self.optimizer + self.running_mean + self.activations

    @property
    def snapshot(self) -> int:
        """Bytes of the main process in the CPU's memory, beside the total: the copy that a checkpoint is written from
        while the training goes on (`idol_model.checkpoint_writer`)."""
        return sum(self.weights.values()) + self.saved + self.running_mean

    @property
    def checkpoints(self) -> int:
        """Bytes on disk while a checkpoint is written: those kept and the new one."""
        return (KEPT + 1) * self.snapshot


def plan(recipe: Recipe) -> Iterator[StageMemory]:
    """Every stage of the recipe in turn, for one process. At full size a stage takes half a minute."""
    if recipe.codec_stage is not None:
        yield _planned(recipe, codec_as_stage(recipe.codec_stage), _codec_step)
    for stage in recipe.stages:
        yield _planned(recipe, stage, _diffusion_step)


def windows_at_once(recipe: Recipe, stage: Stage) -> int:
    """How many windows of a step one process takes at once, alone."""
    return min(recipe.memory.windows_at_once(stage.name) or stage.batch_size, stage.batch_size)


def held_by(recipe: Recipe, stage: Stage) -> int:
    """Bytes of `StageMemory.activations`, counted on a step that is really made, on the CPU."""
    return _measured(recipe, stage, _diffusion_step)[1]


def _planned(recipe: Recipe, stage: Stage, make: Any) -> StageMemory:
    with FakeTensorMode(allow_non_fake_inputs=True):
        model, activations = _measured(recipe, stage, make)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    numbers = sum(parameter.numel() for parameter in trained)
    state = round(OPTIMIZERS[recipe.optimizer].bytes_each * numbers)
    keeps = _offloaded if recipe.memory.offload else _on_device
    return StageMemory(
        stage=stage.name,
        windows=windows_at_once(recipe, stage),
        weights={name: _WORD * count for name, count in selection.part_counts(model).items()},
        running_mean=_WORD * numbers if stage.ema else 0,
        activations=activations,
        saved=state,
        **keeps((recipe, stage), trained, state),
    )


def _on_device(what: tuple[Recipe, Stage], trained: list[nn.Parameter], state: int) -> dict[str, int]:
    del what
    return {"gradients": _WORD * sum(parameter.numel() for parameter in trained), "optimizer": state, "host": 0}


def _offloaded(what: tuple[Recipe, Stage], trained: list[nn.Parameter], state: int) -> dict[str, int]:
    """One process of engine deepspeed: a copy of the weights to step, one for the way back, gradient and moments lie
    in the CPU's memory, and the sum of a step's pieces; two buckets and one gradient remain (`engines.zero`)."""
    sizes = [parameter.numel() for parameter in trained]
    recipe, stage = what
    copies = 3 if recipe.memory.windows_at_once(stage.name) is None else 4
    left = 2 * zero.BUCKET + max(sizes)
    return {"gradients": _WORD * left, "optimizer": 0, "host": _WORD * copies * sum(sizes) + state}


def _measured(recipe: Recipe, stage: Stage, make: Any) -> tuple[IdolModel, int]:
    model = IdolModel.from_recipe(recipe)
    adaptation(recipe.lora).attach(model)
    samples = windows_at_once(recipe, stage)
    module, batch = make(model, recipe, stage, samples)
    return model, _activations(module, batch, Chance.of((0,), range(samples)), recipe)


def _activations(module: nn.Module, batch: Any, chance: Chance, recipe: Recipe) -> int:
    """The most bytes of a forward and backward pass, gradients being there already."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    module.train()
    with LiveBytes() as live:
        with _cast(recipe):
            losses = module(batch, chance)
        losses.total.backward()
    return live.most


@contextmanager
def _cast(recipe: Recipe) -> Iterator[None]:
    low = _PRECISION.get(recipe.precision)
    with torch.autocast("cpu", low, enabled=low is not None, cache_enabled=not recipe.memory.recompute):
        yield


def _codec_step(model: IdolModel, recipe: Recipe, stage: Stage, samples: int) -> tuple[nn.Module, Any]:
    assert recipe.codec_stage is not None
    model.requires_grad_(False)
    selection.select_codec(model.codec, recipe.codec_stage)
    size = recipe.data.size
    picture = np.zeros((size, size, 3), np.uint8)
    channels = model.codec.examples(picture, picture)[0].shape[-1]
    return CodecStep(model.codec, 1.0), torch.rand(samples, channels, size, size)


def _diffusion_step(model: IdolModel, recipe: Recipe, stage: Stage, samples: int) -> tuple[nn.Module, Any]:
    names = [name for name, _ in model.trainable()]
    selection.select(model, names, stage)
    if recipe.memory.recompute:
        recompute(model.unet)
        recompute(model.pose_control)
    step = DiffusionStep(JointDenoising(recipe.objective, Diffusion(recipe.diffusion)), model)
    make = _latents if stage.cache_latents else _pictures
    return step, make(model, recipe, samples, stage.frames)


def _pictures(model: IdolModel, recipe: Recipe, samples: int, frames: int) -> ClipBatch:
    size, side = recipe.data.size, model.foreground.input_size
    return ClipBatch(
        ids=("",) * samples,
        video_BLCHW=torch.rand(samples, frames, 3, size, size),
        depth_BLCHW=torch.rand(samples, frames, 3, size, size),
        pose_BLCHW=torch.rand(samples, frames, 3, size, size),
        foreground_BCHW=torch.rand(samples, 3, side, side),
        background_BCHW=torch.rand(samples, 3, size, size),
    )


def _latents(model: IdolModel, recipe: Recipe, samples: int, frames: int) -> CachedBatch:
    pictures = _pictures(model, recipe, samples, frames)
    latent = recipe.data.size // model.codec.factor
    shape = (model.codec.latent_channels, latent, latent)
    return CachedBatch(
        ids=pictures.ids,
        z_SBLCHW=torch.rand(model.streams, samples, frames, *shape),
        background_BCHW=torch.rand(samples, *shape),
        poses_BLHW3=torch.zeros(samples, frames, recipe.data.size, recipe.data.size, 3, dtype=torch.uint8),
        foreground=model.foreground.read(pictures.foreground_BCHW),
    )
