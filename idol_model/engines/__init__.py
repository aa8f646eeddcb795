"""Engines: where a step's weights lie and how processes agree on a gradient. The trainer knows none by name.

Every engine computes the same step; they differ in memory and speed (``docs/scaling.md``). Several processes are
started from outside, by torchrun or accelerate, on one machine or many.
"""

from typing import Literal

from idol_model.device import DeviceName
from idol_model.engines.machine import start_accelerator
from idol_model.engines.partitioned import Partitioned
from idol_model.engines.replicated import Replicated
from idol_model.engines.sharded import Sharded
from idol_model.processes import TIMEOUT
from idol_model.recipe import Recipe

EngineKind = Literal["ddp", "fsdp", "deepspeed"]
Engine = Replicated

_ENGINES: dict[EngineKind, type[Replicated]] = {"ddp": Replicated, "fsdp": Sharded, "deepspeed": Partitioned}


def start(
    kind: EngineKind, recipe: Recipe, device: DeviceName, *, tf32: bool = False, timeout: float = TIMEOUT
) -> Engine:
    """The engine on the device asked for, joined with the other processes where there are some.

    Processes wait ``timeout`` seconds for each other at most. With ``tf32`` an NVIDIA GPU may round float32 products
    (`idol_model.device.allow_tf32`).

    Raises:
        ValueError: the device is not there, or cannot do the recipe's precision; the engine cannot do the recipe, or
            its package is not installed.
    """
    return _ENGINES[kind](start_accelerator(recipe, device, timeout, tf32), recipe, timeout)


__all__ = ["Engine", "EngineKind", "start"]
