"""Engines: where a step's weights lie and how processes agree on a gradient. The trainer knows none by name.

Every engine computes the same step; they differ in memory and speed (``docs/scaling.md``). Several processes are
started from outside, by torchrun or accelerate, on one machine or many.
"""

from typing import Literal

from idol_model.engines.machine import Device, check_cpu_precision, start_accelerator
from idol_model.engines.partitioned import Partitioned
from idol_model.engines.replicated import Replicated
from idol_model.engines.sharded import Sharded
from idol_model.processes import TIMEOUT
from idol_model.recipe import Recipe

EngineKind = Literal["ddp", "fsdp", "deepspeed"]
Engine = Replicated

_ENGINES: dict[EngineKind, type[Replicated]] = {"ddp": Replicated, "fsdp": Sharded, "deepspeed": Partitioned}


def start(kind: EngineKind, recipe: Recipe, device: Device, timeout: float = TIMEOUT) -> Engine:
    """The engine on the device asked for, joined with the other processes where there are some.

    Processes wait ``timeout`` seconds for each other at most.

    Raises:
        ValueError: the device is not there, or cannot do the recipe's precision; the engine cannot do the recipe, or
            its package is not installed.
    """
    return _ENGINES[kind](start_accelerator(recipe, device, timeout), recipe, timeout)


__all__ = ["Device", "Engine", "EngineKind", "check_cpu_precision", "start"]
