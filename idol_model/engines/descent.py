"""Gradient descent of one stage: gradients added up over pieces, steps of the optimiser, its state by name."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn

from idol_model import optimizers
from idol_model.chance import Chance
from idol_model.objective import Losses
from idol_model.optimizers import Named
from idol_model.recipe import Stage

if TYPE_CHECKING:
    from idol_model.engines.replicated import Replicated


class NotFinite(ValueError):
    """Terms of a step's loss, or its gradient, are NaN or infinite; nothing was moved. ``names`` are the terms."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"{', '.join(names) or 'the gradient'} is not a number")
        self.names = names


def check_finite(values: Mapping[str, float], gradient: float = 0.0) -> None:
    """Raises `NotFinite` where a value of a step or the norm of its gradient is not finite."""
    names = [name for name, value in values.items() if not math.isfinite(value)]
    if names or not math.isfinite(gradient):
        raise NotFinite(names)


class Descent(Protocol):
    """A stage's module and the optimiser of its parameters, under an engine. Methods are collective."""

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """What scales the loss in fp16."""
        ...

    def add(self, batch: Any, chance: Chance, share: float, *, last: bool) -> Losses:
        """Add ``share`` times the gradient of some samples' loss; with ``last`` the step's gradient is complete."""
        ...

    def step(self, rate: float, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Clip the gradient that was added up, move the weights by it, and forget it.

        Returns ``values``, numbers of the step, as means over processes. The device is waited for once: they and the
        gradient's norm are read together, before the weights move.

        Raises:
            NotFinite: a value is NaN or infinite; or the gradient is, where no scale of the loss can be lowered for it.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """The optimiser's whole tensors by name (`optimizers.state_tensors`); only the main process needs get any."""
        ...

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave, under whichever engine."""
        ...

    def close(self) -> None:
        """Let go of module and optimiser; the weights stay where they are."""
        ...


_NORM = "gradient norm"


class AccelerateDescent:
    """Descent as accelerate does it, the gradient lying with the parameters."""

    def __init__(self, engine: "Replicated", module: nn.Module, named: Named, stage: Stage) -> None:
        self._engine, self._accelerator = engine, engine.accelerator
        self._module, self._named, self._most_norm = module.train(), named, stage.most_norm
        self._optimizer: Any = engine.accelerator.prepare(optimizers.made(engine.optimizer, named, stage))

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        return self._accelerator.scaler

    def add(self, batch: Any, chance: Chance, share: float, *, last: bool) -> Losses:
        with nullcontext() if last else self._engine.unsynchronised(self._module):
            losses: Losses = self._module(batch, chance)
            self._accelerator.backward(losses.total * share)
        return losses

    def step(self, rate: float, values: Mapping[str, Tensor]) -> dict[str, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        parameters = [parameter for _, parameter in self._named]
        norm = cast(Tensor, self._accelerator.clip_grad_norm_(parameters, self._most_norm))
        read = self._engine.mean({**values, **self._engine.whole({_NORM: norm})})
        gradient = read.pop(_NORM)
        check_finite(read, gradient if self.scaler is None else 0.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return read

    def state(self) -> dict[str, Tensor]:
        return self._engine.whole(optimizers.state_tensors(self._named, self._optimizer.optimizer))

    def load(self, tensors: dict[str, Tensor]) -> None:
        optimizers.load_state(self._named, self._optimizer.optimizer, tensors, self._engine.placed)

    def close(self) -> None:
        self._accelerator.free_memory()
