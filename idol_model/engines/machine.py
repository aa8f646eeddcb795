"""The machine a process runs on: device, precision, memory."""

import resource
import sys
import warnings
from datetime import timedelta
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs, DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import nn

from idol_model.allocator import keep_freed_memory
from idol_model.recipe import Recipe

Device = Literal["auto", "cpu", "cuda"]


def start_accelerator(recipe: Recipe, device: Device, timeout: float) -> Accelerator:
    """Accelerate on the device asked for; it joins the other processes of a run that was started with several.

    Their collectives wait ``timeout`` seconds at most.

    Raises:
        ValueError: the device is not there or cannot do the precision.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: no GPU is visible; use --device cpu")
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if on_cpu:
        check_cpu_precision(recipe.precision)
        # Networks that start at zero make gradients below the normal range of float32, where processors are slow: a
        # quarter of an image step of the demo recipe. Set before any parallel work, threads inherit it.
        torch.set_flush_denormal(True)
        keep_freed_memory()
    # Temporal layers see no single picture, so some parameters have no gradient in an image stage.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True, gradient_as_bucket_view=True)
    # A weight cast to low precision is kept for its next use, and blocks computed again make none of the first one's.
    casts = AutocastKwargs(cache_enabled=not recipe.memory.recompute)
    waiting = InitProcessGroupKwargs(timeout=timedelta(seconds=timeout))
    mixed = {"fp32": "no"}.get(recipe.precision, recipe.precision)
    return Accelerator(mixed_precision=mixed, cpu=on_cpu, kwargs_handlers=[unused, casts, waiting])


def check_cpu_precision(precision: str) -> None:
    """Refuse what a processor cannot do, and say what it does slowly.

    Raises:
        ValueError: fp16.
    """
    if precision == "fp16":
        raise ValueError("precision=fp16 needs a GPU; set precision=bf16 or fp32")
    if precision == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        warnings.warn("precision=bf16: this processor has no instructions for it and is faster with precision=fp32")


class Autocast(nn.Module):
    """A module under the run's precision, as accelerate does it for the modules it wraps itself."""

    def __init__(self, module: nn.Module, accelerator: Accelerator) -> None:
        super().__init__()
        self.module = module
        self._accelerator = accelerator

    def forward(self, *arguments: object) -> object:
        with self._accelerator.autocast():
            return self.module(*arguments)


def most_memory(device: torch.device) -> int:
    """The most memory in bytes that this process has held so far: of its GPU, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
