"""What the trainer runs one after another: the codec's training, then the recipe's stages.

A phase knows its batches, its loss and what happens when it ends; the trainer knows steps, optimiser and checkpoints.
Each batch is a function of the step alone.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from idol_model import selection
from idol_model.diffusion import Diffusion
from idol_model.feed.feed import Batches
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising, Losses
from idol_model.recipe import Recipe, Stage
from idol_model.types import ClipBatch, LatentBatch


class Phase(Protocol):
    """One stretch of training with an optimiser of its own."""

    @property
    def stage(self) -> Stage:
        """Length and rates."""
        ...

    @property
    def module(self) -> nn.Module:
        """Called as ``module(batch, generator) -> Losses``: one module, so that an engine can wrap the whole step."""
        ...

    @property
    def parameters(self) -> selection.Named:
        """What the optimiser moves, by name."""
        ...

    def batch(self, step: int) -> Any:
        """The batch of a step, on the CPU."""
        ...

    def finish(self) -> None:
        """What is done once the steps are over; must give the same result when done again after a restart."""
        ...


class DiffusionPhase:
    """A stage of the recipe: windows through the objective."""

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        model: IdolModel,
        trainable: selection.Named,
        source: Batches,
    ) -> None:
        self.stage = stage
        self.parameters = selection.select(trainable, stage)
        self.module = DiffusionStep(JointDenoising(recipe.objective, Diffusion(recipe.diffusion)), model)
        self._source = source
        self.plan = source.plan

    def batch(self, step: int) -> ClipBatch | LatentBatch:
        """The windows of a step."""
        return self._source.batch(self.plan.step(step))

    def finish(self) -> None:
        """Nothing: the weights are the result."""


class DiffusionStep(nn.Module):
    """Objective and model as one module."""

    def __init__(self, objective: JointDenoising, model: IdolModel) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: ClipBatch | LatentBatch, generator: torch.Generator) -> Losses:
        """The losses of one batch, encoding it first where it still is pictures."""
        latents = self.model.encode(batch) if isinstance(batch, ClipBatch) else batch
        return self._objective(self.model, latents, generator)


def moved(batch: Any, device: torch.device) -> Any:
    """The batch with its tensors on ``device``."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    fields = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
    return type(batch)(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in fields.items()})
