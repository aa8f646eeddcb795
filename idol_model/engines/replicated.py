"""Every process holds all weights: one process alone, or several that average their gradients (DDP)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from idol_model.division import Division
from idol_model.engines.descent import AccelerateDescent, Descent
from idol_model.engines.machine import most_memory
from idol_model.optimizers import Named
from idol_model.processes import TIMEOUT, Alone, Together
from idol_model.recipe import OptimizerKind, Recipe, Stage

Model = TypeVar("Model", bound=nn.Module)


class Replicated:
    """Accelerate as it is. What is said here of one process holds for each of several.

    Methods marked collective are called by all processes at the same point.
    """

    offloads = False
    """Whether the engine can keep the optimiser's state in the CPU's memory."""

    def __init__(self, accelerator: Accelerator, recipe: Recipe, timeout: float = TIMEOUT) -> None:
        if recipe.memory.offload and not self.offloads:
            raise ValueError(
                "memory.offload: only engine deepspeed keeps the optimiser's state in the CPU's memory; "
                "add --engine deepspeed, or set memory.offload=false"
            )
        self.accelerator = accelerator
        self.optimizer: OptimizerKind = recipe.optimizer
        self.device = accelerator.device
        self.group = Together(timeout) if accelerator.num_processes > 1 else Alone()
        self.division = Division(accelerator.process_index, accelerator.num_processes, recipe.memory)

    @property
    def main(self) -> bool:
        """Whether this process writes what is written once."""
        return self.group.main

    @contextmanager
    def main_first(self, what: str) -> Iterator[None]:
        """What the main process does inside is done when the others enter; ``what`` names it. Collective."""
        if not self.main:
            self.group.wait(what)
        yield
        if self.main:
            self.group.wait(what)

    # ---- a stage

    def wrapped(self, module: nn.Module, units: list[nn.Module]) -> nn.Module:
        """The stage's module, ready for steps. ``units`` are the modules that may be split, inner ones first.

        Parameters may be others afterwards; ask the module for them.
        """
        del units
        return self.accelerator.prepare(module)

    def descent(self, module: nn.Module, named: Named, stage: Stage) -> Descent:
        """What moves the parameters ``named`` of a module that is `wrapped`. Collective."""
        return AccelerateDescent(self, module, named, stage)

    def unsynchronised(self, module: nn.Module) -> AbstractContextManager[Any]:
        """While a gradient is still being added up: nothing is exchanged."""
        return self.accelerator.no_sync(module)

    # ---- tensors

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors as they are in one process. Collective."""
        return dict(tensors)

    def placed(self, value: Tensor, like: Tensor) -> Tensor:
        """A whole tensor where and as ``like`` is kept."""
        return value.to(like.device) if value.ndim else value

    def plain(self, model: Model, make: Callable[[], Model]) -> Model:
        """The model, or a part of it, as one process has it, to be used and not trained: whole weights, no methods of
        the engine's. ``make`` builds an empty one. Collective."""
        del make
        return model

    # ---- agreement

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """The mean over processes of some numbers. Collective."""
        if not values:
            return {}
        stacked = torch.stack([value.detach().to(self.device, torch.float32) for value in values.values()])
        if self.division.processes > 1:
            stacked = cast(Tensor, self.accelerator.reduce(stacked, reduction="mean"))
        return dict(zip(values, stacked.tolist(), strict=True))

    @property
    def most_memory(self) -> int:
        """Bytes: the most this process has held."""
        return most_memory(self.device)
