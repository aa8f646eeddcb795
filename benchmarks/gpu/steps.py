"""Training steps as the trainer makes them: under an engine, with the recipe's precision and optimiser."""

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import tiny_recipes
from benchmarks.gpu import models
from benchmarks.gpu.setting import Setting
from idol_model import engines, selection
from idol_model.chance import Chance
from idol_model.codec_trainer import CodecStep, codec_as_stage
from idol_model.diffusion import Diffusion
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising
from idol_model.phases import DiffusionStep
from idol_model.recipe import Recipe, Stage
from idol_model.unet.blocks import recompute


class Stepper:
    """A stage's module under engine ddp with its optimiser, fed with one and the same batch."""

    def __init__(self, recipe: Recipe, stage: Stage, model: IdolModel, samples: int, device: str) -> None:
        fresh_accelerator()
        self.engine = engines.start("ddp", recipe, "cuda" if device.startswith("cuda") else "cpu")
        self.model = model.to(self.engine.device)
        self._stage, self._samples, self._made = stage, samples, 0
        if stage.name == "codec":
            self._codec(recipe, device)
        else:
            self._diffusion(recipe, device)

    def _codec(self, recipe: Recipe, device: str) -> None:
        assert recipe.codec_stage is not None
        self.model.requires_grad_(False)
        codec = self.model.codec.requires_grad_(True)
        self._batch: Any = models.codec_pictures(self.model, recipe, self._samples, device)
        named = [(f"codec.{name}", parameter) for name, parameter in codec.named_parameters()]
        self._wrap(CodecStep(codec, recipe.codec_stage.edge_weight), named)

    def _diffusion(self, recipe: Recipe, device: str) -> None:
        names = [name for name, _ in self.model.trainable()]
        chosen = selection.select(self.model, names, self._stage)
        if recipe.memory.recompute:
            recompute(self.model.unet)
            recompute(self.model.pose_control)
        make = models.latents if self._stage.cache_latents else models.pictures
        self._batch = make(self.model, recipe, self._samples, self._stage.frames, device)
        named = [(name, parameter) for name, parameter in self.model.named_parameters() if name in chosen]
        self._wrap(DiffusionStep(JointDenoising(recipe.objective, Diffusion(recipe.diffusion)), self.model), named)

    def _wrap(self, module: nn.Module, named: Any) -> None:
        self.module = self.engine.wrapped(module, [])
        self.descent = self.engine.descent(self.module, named, self._stage)

    def piece(self) -> None:
        """Forward and backward pass of one piece of a step."""
        self._made += 1
        chance = Chance.of((self._made,), range(self._samples))
        self._loss = self.descent.add(self._batch, chance, 1.0, last=True).total.detach()

    def move(self) -> float:
        """What the optimiser does once a step; the loss of the piece before."""
        return self.descent.step(self._stage.lr, {"total": self._loss})["total"]

    def step(self) -> float:
        """A whole step of one piece; its loss."""
        self.piece()
        return self.move()


def codec_stage(recipe: Recipe) -> Stage:
    """The codec's training of a recipe that has one."""
    assert recipe.codec_stage is not None
    return codec_as_stage(recipe.codec_stage)


def scaled(setting: Setting) -> dict[str, Any]:
    """Twenty steps in fp16: the scaler finds a scale, the loss stays a number. Three in bf16 on a CPU."""
    precision = "fp16" if setting.on_gpu else "bf16"
    recipe = dataclasses.replace(tiny_recipes.tiny("idol"), precision=precision)
    stage = dataclasses.replace(recipe.stages[-1], frames=2, batch_size=2, lr=1e-3)
    stepper = Stepper(recipe, stage, models.random_model(recipe, "cpu"), 2, setting.device)
    losses = [stepper.step() for _ in range(20 if setting.on_gpu else 3)]
    scaler = stepper.descent.scaler
    finite = all(torch.isfinite(torch.tensor(losses)))
    moved = losses[-1] != losses[0]
    found = {
        "precision": precision,
        "steps": len(losses),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "finite": finite,
    }
    scale = None if scaler is None else scaler.get_scale()
    return found | {"scale": scale, "passed": finite and moved and (scale is None or scale >= 1)}


def replicated(setting: Setting) -> dict[str, Any]:
    """Accelerate's DDP with one process, NCCL on a GPU and Gloo on a CPU: it starts, steps, and agrees with none."""
    recipe = tiny_recipes.tiny("idol")
    stage = dataclasses.replace(recipe.stages[-1], frames=2, batch_size=2)
    alone = Stepper(recipe, stage, models.random_model(recipe, "cpu"), 2, setting.device).step()
    backend = "nccl" if setting.on_gpu else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        fresh_accelerator()
        os.environ.setdefault("LOCAL_RANK", "0")
        meeting = f"file://{Path(folder) / 'meeting'}"
        torch.distributed.init_process_group(backend, init_method=meeting, rank=0, world_size=1)
        try:
            found = _in_a_group(recipe, stage, setting)
        finally:
            torch.distributed.destroy_process_group()
            os.environ.pop("LOCAL_RANK", None)
            fresh_accelerator()
    return {"backend": backend, **found, "loss_without": alone, "passed": abs(found["loss"] - alone) < 1e-3 * alone}


def _in_a_group(recipe: Recipe, stage: Stage, setting: Setting) -> dict[str, Any]:
    stepper = Stepper(recipe, stage, models.random_model(recipe, "cpu"), 2, setting.device)
    by_accelerate = isinstance(stepper.module, nn.parallel.DistributedDataParallel)
    if not by_accelerate:  # it leaves a single process on a CPU alone
        wrapped = nn.parallel.DistributedDataParallel(
            stepper.module, find_unused_parameters=True, gradient_as_bucket_view=True
        )
        stepper.descent._module = wrapped.train()  # type: ignore[attr-defined]
        stepper.module = wrapped
    losses = [stepper.step() for _ in range(3)]
    return {
        "module": type(stepper.module).__name__,
        "by_accelerate": by_accelerate,
        "loss": losses[0],
        "losses": losses,
    }


def fresh_accelerator() -> None:
    """Let the next recipe have a precision of its own: accelerate keeps one state a process."""
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
