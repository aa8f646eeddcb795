"""`make_caches`: the latent caches of a recipe ahead of its training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from idol_model import checkpoint, weights
from idol_model.feed.run_data import Places, RunData, Told
from idol_model.feed.training_data import DataPart, TrainingData
from idol_model.latents import Encoders, LatentCache
from idol_model.model import IdolModel
from idol_model.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlan:
    """Where caches go and on what they are made. ``latents`` None is the run's own folder, as in training."""

    run: Path
    latents: Path | None = None
    device: str = "cpu"

    @property
    def places(self) -> Places:
        """As the training of that run has them."""
        return Places(self.run, self.latents or self.run / "latents")


def make_caches(
    recipe: Recipe, data: Path | Sequence[DataPart], plan: CachePlan, told: Told | None = None
) -> list[LatentCache]:
    """One cache for each source of clips; those that are there are found, those broken off go on.

    Raises:
        DataShortage: the data lacks what the recipe needs.
        ValueError: the pictures are augmented, or the recipe's codec has yet to be trained in the run.
        FileNotFoundError: the pre-trained weights of the recipe are not on this machine.
        OSError: the disk has no room.
    """
    opened = TrainingData.open(data)
    opened.check(recipe)
    weights.check_present(recipe)
    model = _frozen_parts(recipe, plan.run).to(plan.device).eval()
    return RunData(opened, recipe, lambda: Encoders.of(model), plan.places).caches(told)


def _frozen_parts(recipe: Recipe, run: Path) -> IdolModel:
    """The model whose codec and frozen encoder the run will have: its start, or what its codec's training made."""
    torch.manual_seed(recipe.seed)
    model = IdolModel.from_recipe(recipe)
    weights.start_from(recipe, model)
    if recipe.codec_stage is not None:
        saved = checkpoint.newest(run / "checkpoints")
        if saved is None or saved.position.stage_index < 1:
            raise ValueError(
                f"recipe {recipe.name}: trains its own codec first, so nothing can be cached before; run `idol train "
                f"{recipe.name}` in {run} past the codec, it makes the caches then"
            )
        model.load_state_dict(saved.tensors("model"))
    return model
