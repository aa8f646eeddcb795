"""The machine a process runs on: device, precision, memory."""

import resource
import sys
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs, DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import nn

from idol_model.allocator import keep_freed_memory
from idol_model.device import DeviceName, allow_tf32, check_dtype, find_device
from idol_model.recipe import Recipe


def start_accelerator(recipe: Recipe, device: DeviceName, timeout: float, tf32: bool = False) -> Accelerator:
    """Accelerate on the device asked for; it joins the other processes of a run that was started with several.

    Their collectives wait ``timeout`` seconds at most.

    Raises:
        ValueError: the device is not there or cannot do the precision.
    """
    found = find_device(device)
    check_dtype(recipe.precision, found)
    allow_tf32(found, tf32)
    on_cpu = found.type == "cpu"
    if on_cpu:
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
