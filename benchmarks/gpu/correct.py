"""Part *correct*: does the GPU compute what the CPU computes? Errors are relative, TF32 is off."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks import tiny_recipes
from benchmarks.gpu import generating, models, steps
from benchmarks.gpu.compare import BF16, FP32, compared
from benchmarks.gpu.figures import Figure
from benchmarks.gpu.setting import Setting
from idol_model import recipes
from idol_model.config import to_dict
from idol_model.recipe import Recipe


def figures(setting: Setting) -> Iterator[Figure]:
    """The quick ones first; the recipes at their own widths last, for as long as the time lasts."""
    chosen = setting.recipes or recipes.names()
    yield Figure("shipped checkpoint, 4 steps", partial(_shipped, setting), 5)
    yield Figure("fp16 with loss scaling, 20 steps", partial(steps.scaled, setting), 5)
    yield Figure("one process of DDP", partial(steps.replicated, setting), 5)
    for name in chosen:
        yield Figure(f"tiny: {name}", partial(_tiny, setting, name), 1)
    for names, recipe in list(networks(chosen).items())[: 1 if setting.rehearse else None]:
        yield Figure(f"wide: {names}", partial(_wide, setting, recipe), 4)


def networks(names: tuple[str, ...]) -> dict[str, Recipe]:
    """Recipes that differ in their networks or their objective, each under the names of all that share them."""
    groups: dict[str, list[str]] = {}
    for name in names:
        recipe = recipes.get(name)
        alike = (recipe.unet, recipe.pose_control, recipe.foreground, recipe.codec, recipe.objective)
        groups.setdefault(repr([to_dict(part) for part in alike]), []).append(name)
    return {", ".join(group): recipes.get(group[0]) for group in groups.values()}


def _tiny(setting: Setting, name: str) -> dict[str, Any]:
    return {"how": "narrow networks, 32 x 32, 1 clip of 2 frames"} | compared(tiny_recipes.tiny(name), setting.device)


def _wide(setting: Setting, recipe: Recipe) -> dict[str, Any]:
    if setting.rehearse:
        return {"how": "rehearsal: narrow"} | compared(tiny_recipes.tiny(recipe.name), setting.device)
    own = models.wide(recipe)
    how = f"widths {own.unet.widths}, one block a stage, 64 x 64, 1 clip of at most 2 frames; codec and CLIP narrow"
    return {"how": how} | compared(own, setting.device, built_on=setting.device)


def _shipped(setting: Setting) -> dict[str, Any]:
    few = {"frames": 1, "steps": 1} if setting.rehearse else {}
    found = generating.shipped_errors(setting.device, **few)
    return found | {"passed": found["fp32"] <= FP32 and found["bf16"] <= BF16}
