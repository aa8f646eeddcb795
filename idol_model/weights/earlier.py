"""What `Recipe.init_from` names: an earlier run of the chain (Sec. 3.3, App. B), or Stable Diffusion in other files."""

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from idol_model import checkpoint, loading
from idol_model.codecs import JointKlCodec, KlCodec
from idol_model.model import IdolModel
from idol_model.pose_control import NoPose
from idol_model.weights.fit import Fit, Part, WeightsError, load
from idol_model.weights.loaders import ADDED, stable_diffusion
from idol_model.weights.single_file import load_single_file
from idol_prep.schema import Polarity

_NETWORKS = ("unet", "pose_control", "foreground", "codec")
_VAE = "vae."
"""Prefix of the autoencoder's weights in a codec."""
SHIPPED = "shipped:"
"""Before the name of a checkpoint that comes with the package: it lies elsewhere on every machine."""
_SHIPPED = {f"{SHIPPED}demo": checkpoint.shipped}

Weights = Mapping[str, Tensor]


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


def depth_polarity(name: str) -> Polarity | None:
    """Which end of the depth was near in an earlier run's data; None where it had no depth, or is no run of ours."""
    folder = require(name)
    return loading.depth_polarity(folder) if (folder / loading.RECIPE).is_file() else None


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

    A pose network is new where the earlier run had none. A joint codec takes the weights of a picture codec as it takes
    Stable Diffusion's.

    Raises:
        WeightsError: the networks are of other kinds or sizes.
    """
    built = IdolModel.from_recipe(loading.check(folder))
    return load(str(folder), *continued(model, built, lambda part: _stored(folder / part), str(folder)))


def continued(model: IdolModel, earlier: IdolModel, stored: Callable[[str], Weights], source: str) -> list[Part]:
    """What fills each network of ``model`` from an ``earlier`` one, whose weights ``stored`` gives by its part's name.

    Raises:
        WeightsError: the networks are of other kinds.
    """
    parts = []
    for part in _NETWORKS:
        theirs, ours = getattr(earlier, part), getattr(model, part)
        if part == "pose_control" and isinstance(theirs, NoPose):
            continue
        adapt = _adapter(theirs, ours)
        if adapt is None:
            raise WeightsError(
                f"{source}: its {part} is a {type(theirs).__name__}, the recipe's a {type(ours).__name__}; "
                "name a run of the same networks"
            )
        parts.append(Part(name=part, module=ours, weights=adapt(stored(part)), may_stay=ADDED))
    return parts


def _adapter(theirs: nn.Module, ours: nn.Module) -> Callable[[Weights], Weights] | None:
    """How the weights of an earlier network fill ours; None where the two kinds have nothing in common."""
    same = {(type(ours), type(ours)): dict}
    return (_ADAPTED | same).get((type(theirs), type(ours)))


def _inflated_codec(weights: Weights) -> Weights:
    """A picture codec's weights for the joint one."""
    vae = {name.removeprefix(_VAE): value for name, value in weights.items()}
    return {f"{_VAE}{name}": value for name, value in JointKlCodec.adapted(vae).items()}


_ADAPTED: dict[tuple[type, type], Callable[[Weights], Weights]] = {(KlCodec, JointKlCodec): _inflated_codec}
"""By the kinds of the earlier network and of ours: how weights of the one fill the other."""


def _stored(folder: Path) -> Weights:
    weights: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= load_file(file)
    return weights
