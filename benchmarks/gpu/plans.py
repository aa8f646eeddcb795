"""What ``--dry-run`` counts for the stages whose memory is measured: counted on processors beside the earlier parts."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import tiny_recipes
from benchmarks.gpu.ledger import write_json
from benchmarks.gpu.setting import Setting
from idol_model import memory_plan, recipes
from idol_model.recipe import Recipe, Stage

NAMES = ("idol-24gb", "idol", "haop-24gb")
"""The recipe that must fit in 24 GB first."""


def pieces(setting: Setting) -> Iterator[Recipe]:
    """The recipes with one window at a time where they name no micro-batch, one for each of their stages."""
    for name in NAMES:
        recipe = tiny_recipes.tiny(name) if setting.rehearse else recipes.get(name)
        recipe = dataclasses.replace(recipe, name=name, codec_stage=None, weights=(), init_from=None)
        for stage in reversed(recipe.stages):
            memory = dataclasses.replace(recipe.memory, micro_batch=_at_once(recipe, stage))
            yield dataclasses.replace(recipe, stages=(stage,), memory=memory)


def _at_once(recipe: Recipe, stage: Stage) -> int:
    """Windows that go through the networks at once: the recipe's number for the stage, else one."""
    few = recipe.memory.micro_batch
    return (few.get(stage.name) if isinstance(few, Mapping) else few) or 1


def count_all(setting: Setting) -> None:
    """Count every stage that is not counted yet, each into a file of its own."""
    for recipe in pieces(setting):
        if not _file(setting, recipe).is_file():
            write_json(_file(setting, recipe), _counted(recipe))


def counted(setting: Setting, recipe: Recipe) -> dict[str, Any]:
    """The count of a recipe of one stage; made now where nobody has."""
    file = _file(setting, recipe)
    return json.loads(file.read_text()) if file.is_file() else _counted(recipe)


def _counted(recipe: Recipe) -> dict[str, Any]:
    (plan,) = memory_plan.plan(recipe)
    return dataclasses.asdict(plan) | {"total": plan.total}


def _file(setting: Setting, recipe: Recipe) -> Path:
    return setting.work / "plans" / f"{recipe.name}-{recipe.stages[0].name}.json"
