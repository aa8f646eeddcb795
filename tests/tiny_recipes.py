"""Every recipe of the paper at toy size (`benchmarks.tiny_recipes`), and the runs they begin from."""

import atexit
import dataclasses
import functools
import shutil
import tempfile
from pathlib import Path

import torch

from benchmarks.tiny_recipes import SIDE, tiny
from idol_model import recipes
from idol_model.model import IdolModel
from idol_model.recipe import Recipe
from idol_model.training import save_model

__all__ = ["SIDE", "after_its_run", "finished", "named_run", "tiny"]


def named_run(name: str) -> str | None:
    """The recipe of the run that the recipe ``name`` begins from; None where it begins from published weights alone."""
    earlier = recipes.get(name).init_from
    return None if earlier is None else Path(earlier).name


@functools.cache
def finished(name: str) -> Path:
    """A run folder of the tiny recipe with a model of random weights in it, made once a session."""
    folder = Path(tempfile.mkdtemp(prefix=f"idol-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(11)
    save_model(IdolModel.from_recipe(tiny(name)), tiny(name), folder / "model", "distance")
    return folder


def after_its_run(name: str) -> Recipe:
    """The tiny recipe, beginning from a finished run of the recipe that it names."""
    earlier = named_run(name)
    return dataclasses.replace(tiny(name), init_from=None if earlier is None else str(finished(earlier)))
