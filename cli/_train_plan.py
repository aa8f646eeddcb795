"""``idol train --dry-run``: what a run would train, hold in memory and write, before anything is done."""

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

from cli._output import Output

if TYPE_CHECKING:
    from idol_model.memory_plan import StageMemory
    from idol_model.recipe import Recipe

_MILLION = 1e6
_ROWS = {
    "unet_2d": "2D U-Net",
    "unet_3d": "3D U-Net (with temporal layers)",
    "pose_control": "pose network (with temporal layers)",
    "together": "3D U-Net and pose network",
    "with_coupling": "and cross-modal attention",
}
_GB = 1e9


def say_plan(out: Output, recipe: "Recipe", **more: Any) -> None:
    """Recipe, parameters by part, and for each stage its length, memory and checkpoints; ``more`` joins the result."""
    from idol_model import memory_plan, selection

    model = selection.meta_model(recipe)
    counts, parts = selection.paper_counts(model), selection.part_counts(model)
    stages = selection.stage_selections(model, recipe)
    out.line(json.dumps(recipe.to_dict(), indent=2))
    out.table(
        f"Parameters of {recipe.name}, in millions",
        ["what", "million"],
        [[label, f"{counts[key] / _MILLION:,.2f}"] for key, label in _ROWS.items()]
        + [[f"all of {name}", f"{number / _MILLION:,.2f}"] for name, number in parts.items()],
    )
    out.table(
        "Stages",
        ["stage", "steps", "batch", "trained, million", "frozen, million"],
        [[plan.name, plan.steps, plan.batch_size, _millions(plan.trained), _millions(plan.frozen)] for plan in stages],
    )
    with out.progress(len(stages), "memory") as bar:
        memory = []
        for stage in memory_plan.plan(recipe):
            memory.append(stage)
            bar.update(len(memory), note=stage.stage)
    _say_memory(out, recipe, memory)
    out.result(
        {
            "recipe": recipe.to_dict(),
            "parameters": counts,
            "parameters_millions": {name: round(number / _MILLION, 2) for name, number in counts.items()},
            "parts": parts,
            "stages": [dataclasses.asdict(stage) for stage in stages],
            "memory": [_as_data(stage) for stage in memory],
            "machine_bytes": machine_memory(),
            **more,
        }
    )


def _say_memory(out: Output, recipe: "Recipe", stages: "list[StageMemory]") -> None:
    held = ["weights", "gradients", "optimizer", "EMA", "activations", "all"]
    out.table(
        f"Memory of one process, GB ({recipe.precision}, {recipe.optimizer}"
        f"{', blocks computed again' if recipe.memory.recompute else ''}; a GPU's libraries take about 1 more)",
        ["stage", "windows at once", *held, "offloaded", "copy being saved", "checkpoints on disk"],
        [[stage.stage, stage.windows, *(f"{number / _GB:,.2f}" for number in _numbers(stage))] for stage in stages],
    )
    holds, most = machine_memory(), max(stages, key=lambda stage: stage.total)
    if most.total > holds:
        out.warn(
            f"stage {most.stage} needs {most.total / _GB:.1f} GB and this machine has {holds / _GB:.1f}; take a recipe "
            "for small GPUs (idol-24gb), or --set memory.micro_batch=1 --set memory.recompute=true"
        )


def _numbers(stage: "StageMemory") -> list[int]:
    held = [sum(stage.weights.values()), stage.gradients, stage.optimizer, stage.running_mean, stage.activations]
    return [*held, stage.total, stage.host, stage.snapshot, stage.checkpoints]


def _as_data(stage: "StageMemory") -> dict[str, Any]:
    counted = {"total": stage.total, "snapshot": stage.snapshot, "checkpoints": stage.checkpoints}
    return {**dataclasses.asdict(stage), **counted}


def machine_memory() -> int:
    """Bytes of the first GPU, or of this machine without one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _millions(parts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number / _MILLION:,.2f}" for name, number in parts.items() if number) or "none"
