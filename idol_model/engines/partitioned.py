"""Every process holds all weights and a share of gradients and moments (DeepSpeed, ZeRO's second stage)."""

import os
from importlib.util import find_spec

import torch
from accelerate import Accelerator
from torch import distributed, nn

from idol_model.engines.descent import Descent
from idol_model.engines.machine import Autocast
from idol_model.engines.replicated import Replicated
from idol_model.engines.zero import ZeroDescent
from idol_model.optimizers import Named
from idol_model.processes import TIMEOUT
from idol_model.recipe import Recipe, Stage


class Partitioned(Replicated):
    """Gradients are averaged into the process that steps their part; the moved weights come back from there.

    With ``memory.offload`` that part's gradients, moments and a copy of its weights lie in the CPU's memory, which
    helps one process as well.
    """

    offloads = True

    def __init__(self, accelerator: Accelerator, recipe: Recipe, timeout: float = TIMEOUT) -> None:
        super().__init__(accelerator, recipe, timeout)
        _check(recipe)
        self.offload = recipe.memory.offload
        _join(self.device)

    def wrapped(self, module: nn.Module, units: list[nn.Module]) -> nn.Module:
        del units
        return Autocast(module, self.accelerator)

    def descent(self, module: nn.Module, named: Named, stage: Stage) -> Descent:
        return ZeroDescent(self, module, named, stage)


def _check(recipe: Recipe) -> None:
    if find_spec("deepspeed") is None:
        raise ValueError(
            "engine deepspeed: needs deepspeed; pip install 'idol-video-depth[deepspeed]', or use --engine fsdp"
        )
    if recipe.precision == "fp16":
        raise ValueError("engine deepspeed: precision=fp16 is not built here; set precision=bf16, or use --engine ddp")
    if recipe.optimizer == "adamw_8bit":
        raise ValueError("engine deepspeed: optimizer=adamw_8bit keeps blocks of whole weights; set optimizer=adamw")


def _join(device: torch.device) -> None:
    """Have a process group: DeepSpeed asks one for everything, also where a process is alone."""
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    if not distributed.is_initialized():
        os.environ.setdefault("LOCAL_RANK", "0")
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=distributed.HashStore(), rank=0, world_size=1)
