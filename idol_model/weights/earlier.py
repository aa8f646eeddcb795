"""What `Recipe.init_from` names: an earlier run of the chain (Sec. 3.3, App. B), or Stable Diffusion in other files."""

from pathlib import Path

from safetensors.torch import load_file

from idol_model import checkpoint, loading
from idol_model.model import IdolModel
from idol_model.pose_control import NoPose
from idol_model.weights.fit import Fit, Part, WeightsError, load
from idol_model.weights.loaders import ADDED, stable_diffusion
from idol_model.weights.single_file import load_single_file

_NETWORKS = ("unet", "pose_control", "foreground", "codec")
SHIPPED = "shipped:"
"""Before the name of a checkpoint that comes with the package: it lies elsewhere on every machine."""
_SHIPPED = {f"{SHIPPED}demo": checkpoint.shipped}


def shipped_names() -> tuple[str, ...]:
    """What `require` takes for checkpoints of the package."""
    return tuple(_SHIPPED)


def require(name: str) -> Path:
    """The model's folder in a run folder, the folder itself, a single file, or a shipped checkpoint by its name.

    Raises:
        FileNotFoundError: there is no finished model.
    """
    given = Path(name)
    if name in _SHIPPED:
        return _SHIPPED[name]()
    if given.is_file():
        return given
    for folder in (given / "model", given):
        if (folder / loading.INDEX).is_file() or (folder / "unet" / "config.json").is_file():
            return folder
    raise FileNotFoundError(
        f"init_from: {name} holds no finished model; train it first (idol train {given.name or 'haop'} -o {name}), "
        "name another run, or leave it out with --set init_from=null"
    )


def load_from(model: IdolModel, path: Path) -> list[Fit]:
    """Fill ``model`` from a run of ours, a diffusers folder of Stable Diffusion, or its single file.

    Raises:
        WeightsError: it does not fit, or is none of these.
    """
    if path.is_file():
        return load_single_file(model, path)
    if (path / loading.RECIPE).is_file():
        return load_earlier(model, path)
    return stable_diffusion(model, path, str(path))


def load_earlier(model: IdolModel, folder: Path) -> list[Fit]:
    """Fill each network from the earlier run's. Temporal layers, coupling and modality label may be new.

    A pose network is new where the earlier run had none.

    Raises:
        WeightsError: the networks are of other kinds or sizes.
    """
    recipe = loading.check(folder)
    built = IdolModel.from_recipe(recipe)
    parts = []
    for part in _NETWORKS:
        theirs, ours = getattr(built, part), getattr(model, part)
        if part == "pose_control" and isinstance(theirs, NoPose):
            continue
        if type(theirs) is not type(ours):
            raise WeightsError(
                f"{folder}: its {part} is a {type(theirs).__name__}, the recipe's a {type(ours).__name__}; "
                "name a run of the same networks"
            )
        weights = {}
        for file in sorted((folder / part).glob("*.safetensors")):
            weights |= load_file(file)
        parts.append(Part(name=part, module=ours, weights=weights, may_stay=ADDED))
    return load(str(folder), *parts)
