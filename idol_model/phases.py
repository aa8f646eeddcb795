"""What the trainer runs one after another: the codec's training, then the recipe's stages.

A phase knows its batches, its loss and what happens when it ends; the trainer knows steps, optimiser and checkpoints.
Each batch is a function of the step alone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from idol_model import selection
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion
from idol_model.feed.feed import Batches
from idol_model.gradient_shares import GradientShares
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising, Losses
from idol_model.recipe import Recipe, Stage
from idol_model.types import CachedBatch, ClipBatch
from idol_model.unet.blocks import blocks


class Phase(Protocol):
    """One stretch of training with an optimiser of its own."""

    @property
    def stage(self) -> Stage:
        """Length and rates."""
        ...

    @property
    def module(self) -> nn.Module:
        """Called as ``module(batch, chance) -> Losses``, means over the batch: one module, so that an engine can wrap
        the whole step."""
        ...

    @property
    def units(self) -> list[nn.Module]:
        """Modules whose weights an engine may split over processes, inner ones first."""
        ...

    @property
    def parameters(self) -> selection.Named:
        """What the optimiser moves, by name, as the module has them now."""
        ...

    @property
    def shares(self) -> GradientShares:
        """Measures the terms' shares of the gradient in the steps that are logged."""
        ...

    def batch(self, step: int, places: range) -> Any:
        """The samples of a step at these places, on the CPU."""
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
        trainable: Sequence[str],
        source: Batches,
    ) -> None:
        self.stage = stage
        self._model = model
        self._trained = selection.select(model, trainable, stage)
        self.shares = GradientShares()
        objective = JointDenoising(recipe.objective, Diffusion(recipe.diffusion), self.shares)
        self.module = DiffusionStep(objective, model)
        self._source = source
        self.plan = source.plan

    @property
    def units(self) -> list[nn.Module]:
        """Blocks of U-Net and pose network, the two, and the foreground encoder; the codec stays whole."""
        networks = (self._model.unet, self._model.pose_control)
        return [block for network in networks for block in blocks(network)] + [*networks, self._model.foreground]

    @property
    def parameters(self) -> selection.Named:
        """Those that the stage trains."""
        return [(name, parameter) for name, parameter in self._model.named_parameters() if name in self._trained]

    def batch(self, step: int, places: range) -> ClipBatch | CachedBatch:
        """The windows of a step at these places."""
        return self._source.batch(self.plan.step(step)[places.start : places.stop])

    def finish(self) -> None:
        """Nothing: the weights are the result."""


class DiffusionStep(nn.Module):
    """Objective and model as one module."""

    def __init__(self, objective: JointDenoising, model: IdolModel) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: ClipBatch | CachedBatch, chance: Chance) -> Losses:
        """The losses of one batch, encoding it first where it still is pictures."""
        latents = self.model.encode(batch) if isinstance(batch, ClipBatch) else batch.latents()
        return self._objective(self.model, latents, chance)
