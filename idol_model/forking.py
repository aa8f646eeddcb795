"""A new run that continues another's checkpoint under a changed recipe, and says so."""

import json
import shutil
from pathlib import Path

from idol_model import checkpoint, selection
from idol_model.recipe import Recipe
from idol_model.run_state import Data, RunFolder, RunMismatch, first_difference


def fork(source: Path, target: Path, recipe: Recipe, data: Data, command: list[str]) -> Path:
    """Begin the run ``target`` with ``recipe`` from the newest checkpoint of the run ``source``; returns its copy.

    ``target/run.json`` keeps where it came from and the first difference of the recipes.

    Raises:
        RunMismatch: ``target`` holds a run, ``source`` has no checkpoint, it does not fit the changed recipe, or its
            data's depth was of the other polarity.
    """
    if (target / "recipe.json").exists():
        raise RunMismatch(f"{target} holds a run already; a fork begins in a new folder, choose one with -o")
    before, found = RunFolder(source).recipe(), checkpoint.newest(source / "checkpoints")
    if found is None:
        raise RunMismatch(f"{source}: holds no checkpoint to fork from; train it for a while first")
    _check_fits(found, before, recipe)
    if recipe.makes_depth:
        _check_depth(source, data)
    origin = {
        "run": str(source),
        "checkpoint": found.path.name,
        "first_difference": first_difference(before.to_dict(), recipe.to_dict()),
    }
    new = RunFolder.open(target, recipe, data, command, forked_from=origin)
    new.checkpoints.mkdir(exist_ok=True)
    temporary = new.checkpoints / f".writing-{found.path.name}"
    shutil.copytree(found.path, temporary)
    return temporary.rename(new.checkpoints / found.path.name)


def _check_depth(source: Path, data: Data) -> None:
    """Refuse to go on with depth the other way round, as data of both kinds in one run is refused."""
    record = json.loads((source / "run.json").read_text(encoding="utf-8"))["data"]
    before = _polarities([record] if isinstance(record, dict) else record)
    now = _polarities(data)
    if before and now and before != now:
        raise RunMismatch(
            f"{source}: was trained on {', '.join(before)} depth, the data has {', '.join(now)} depth (which end is "
            "near); fork it on data of the same kind, or begin a new run with --set init_from"
        )


def _polarities(data: Data) -> list[str]:
    """The depth polarities that are noted of a run's sources."""
    return sorted({source["depth_polarity"] for source in data if "depth_polarity" in source})


def _check_fits(found: checkpoint.Checkpoint, before: Recipe, recipe: Recipe) -> None:
    position = found.position
    names = {0: "codec", **{number: stage.name for number, stage in enumerate(recipe.stages, 1)}}
    if names.get(position.stage_index) != position.stage:
        raise RunMismatch(f"{found.path} is in stage {position.stage_index} ({position.stage}), not one of {names}")
    if recipe.optimizer != before.optimizer:
        raise RunMismatch(
            f"optimizer: was {before.optimizer!r}, now {recipe.optimizer!r}; the checkpoint holds the state of the "
            "first, keep it"
        )
    theirs = {name: tuple(tensor.shape) for name, tensor in found.tensors("model").items()}
    ours = {name: tuple(tensor.shape) for name, tensor in selection.meta_model(recipe).state_dict().items()}
    unfit = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
    if unfit:
        first = unfit[0]
        raise RunMismatch(
            f"{found.path}: {len(unfit)} tensors do not fit the changed recipe, first {first}: "
            f"{theirs.get(first)} in the checkpoint, {ours.get(first)} in the recipe"
        )
