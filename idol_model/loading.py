"""Is this folder a whole checkpoint of ours? Asked before anything is loaded, answered with what is wrong.

A checkpoint is a diffusers folder with ``recipe.json`` beside ``model_index.json``. Names and shapes of all weights are
compared with the network that the recipe describes, by the headers of the files alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import diffusers
import torch
from safetensors import SafetensorError, safe_open

from idol_model.config import ConfigError
from idol_model.model import IdolModel
from idol_model.outputs import POLARITY
from idol_model.recipe import Recipe
from idol_prep.schema import Polarity

PIPELINE = "IdolPipeline"
INDEX, RECIPE = "model_index.json", "recipe.json"
NETWORKS = ("unet", "pose_control", "codec", "foreground")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_NAMED = 3
"""How many weights an error names before it only counts."""

Shapes = dict[str, tuple[int, ...]]


class CheckpointError(ValueError):
    """A folder that is no checkpoint, or not a whole one; the message names what is missing or unexpected."""


def resolve(name: str | Path) -> Path:
    """The local folder of a checkpoint; a hub id is downloaded (configuration and safetensors files only).

    Raises:
        FileNotFoundError: no such folder, and the hub has nothing under that name.
    """
    if Path(name).is_dir():
        return Path(name)
    if Path(name).exists():
        raise CheckpointError(f"{name}: is a file; name the checkpoint's folder (the one with {INDEX})")
    if not _HUB_ID.fullmatch(str(name)):
        raise FileNotFoundError(f"{name}: no such checkpoint folder; leave it out for the shipped one")
    return _download(str(name))


def check(folder: Path) -> Recipe:
    """The recipe of a checkpoint, after making sure that every weight it needs is there and none is left over.

    Raises:
        CheckpointError: the folder is no checkpoint of ours, is incomplete or does not fit its own recipe.
    """
    _check_index(folder)
    recipe = read_recipe(folder)
    for name, expected in _expected(recipe).items():
        _compare(folder / name, _stored(folder / name), expected)
    return recipe


def read_recipe(folder: Path) -> Recipe:
    """``recipe.json`` of a checkpoint."""
    try:
        return Recipe.from_dict(_read_json(folder / RECIPE))
    except ConfigError as error:
        raise CheckpointError(f"{folder / RECIPE}: does not fit this version of idol_model ({error})") from error


def depth_polarity(folder: Path) -> Polarity | None:
    """Which end of the depth is near in what a checkpoint makes; None where it makes no depth.

    The colormap's where the checkpoint is older than the record of it.
    """
    recipe = read_recipe(folder)
    if not recipe.makes_depth:
        return None
    return _read_json(folder / INDEX).get("depth_polarity", POLARITY[recipe.data.colormap])


def _expected(recipe: Recipe) -> dict[str, Shapes]:
    """Names and shapes of the weights of each network of a recipe."""
    with torch.device("meta"):
        model = IdolModel.from_recipe(recipe)
    states = {name: getattr(model, name).state_dict() for name in NETWORKS}
    return {name: {key: tuple(value.shape) for key, value in state.items()} for name, state in states.items()}


def _check_index(folder: Path) -> None:
    index = _read_json(folder / INDEX)
    if index.get("_class_name") != PIPELINE:
        raise CheckpointError(
            f"{folder}: holds a {index.get('_class_name')}, not an {PIPELINE}; name another checkpoint"
        )
    absent = [name for name in (*NETWORKS, "scheduler") if name not in index or not (folder / name).is_dir()]
    if absent:
        raise CheckpointError(f"{folder}: incomplete, without {', '.join(absent)}; copy or save the checkpoint again")
    _check_scheduler(folder, index["scheduler"])


def _check_scheduler(folder: Path, named: Sequence[str]) -> None:
    library, name = named
    if library == "diffusers" and not hasattr(diffusers, name):
        raise CheckpointError(
            f"{folder / INDEX}: scheduler {name}: diffusers {diffusers.__version__} has none of that name; "
            "write one it has, as DDIMScheduler"
        )


def _read_json(path: Path) -> Mapping:
    if not path.is_file():
        raise CheckpointError(f"{path.parent}: not an IDOL checkpoint ({path.name} is missing); name another folder")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged ({error}); copy the checkpoint again") from error
    if not isinstance(data, Mapping):
        raise CheckpointError(f"{path}: damaged (no JSON object); copy the checkpoint again")
    return data


def _stored(folder: Path) -> Shapes:
    """Names and shapes of all weights in a component's folder."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder}: no weights (*.safetensors) here; copy or save the checkpoint again")
    shapes: Shapes = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                shapes |= {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise CheckpointError(f"{file}: damaged ({error}); copy the checkpoint again") from error
    return shapes


def _compare(folder: Path, stored: Shapes, expected: Shapes) -> None:
    missing = [name for name in expected if name not in stored]
    unexpected = [name for name in stored if name not in expected]
    reshaped = [
        f"{name} {stored[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in stored and stored[name] != shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    told = [f"{len(names)} {kind} ({_listed(names)})" for kind, names in faults.items() if names]
    if told:
        raise CheckpointError(f"{folder}: weights do not fit {RECIPE}: {'; '.join(told)}; name another checkpoint")


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _download(repo_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo_id, allow_patterns=["*.json", "*.safetensors"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"{repo_id}: no such folder here, and the hub has given nothing ({type(error).__name__}); check the name"
        ) from error
