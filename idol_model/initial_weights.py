"""Pre-trained weights that a run starts from: Stable Diffusion image variations, as the parent system does.

The U-Net goes into U-Net and pose network, the autoencoder into the codec, CLIP into the foreground encoder. Whatever a
file holds must find its place, and whatever stays as it was initialised must be one of the paper's additions.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from idol_model import selection
from idol_model.codecs import KlCodec
from idol_model.foreground import ClipForeground
from idol_model.model import IdolModel
from idol_model.pose_control import PoseControlNet
from idol_model.recipe import Recipe

SD_IMAGE_VARIATIONS = "lambdalabs/sd-image-variations-diffusers"
T = TypeVar("T", bound=nn.Module)
_PARTS = ("unet", "vae", "image_encoder")
_ADDED = (selection.TEMPORAL, selection.COUPLING, *selection.ADDED, "controlnet_")
"""Marks of parameters that pre-trained weights cannot have."""


class WeightsError(ValueError):
    """Pre-trained weights do not fit the recipe; the message names the part and the first weight."""


def start_from(recipe: Recipe, model: IdolModel) -> None:
    """Fill ``model`` with the weights that the recipe names.

    Raises:
        FileNotFoundError: they are not on this machine; the message names the command that brings them.
        WeightsError: they do not fit.
    """
    if recipe.weights != "none":
        load_image_variations(model, find(SD_IMAGE_VARIATIONS))


def check_present(recipe: Recipe) -> None:
    """Ask for the weights before any work; raises as `start_from`."""
    if recipe.weights != "none":
        find(SD_IMAGE_VARIATIONS)


def find(repo_id: str) -> Path:
    """The folder of a hub repository in the local cache; nothing is downloaded here."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repo_id, local_files_only=True))
    except LocalEntryNotFoundError:
        folder = None
    if folder is None or any(not (folder / part).is_dir() for part in _PARTS):
        raise FileNotFoundError(
            f"pre-trained weights {repo_id} are not on this machine: bring them with `hf download {repo_id}`, "
            "or start from nothing with --set weights=none"
        )
    return folder


def load_image_variations(model: IdolModel, folder: Path) -> None:
    """Load the diffusers folder of Stable Diffusion image variations into the four parts of ``model``."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPVisionModelWithProjection

    unet = UNet2DConditionModel.from_pretrained(str(folder), subfolder="unet").state_dict()
    _load(model.unet, unet, "unet")
    model.unet.begin_from_input()
    if isinstance(model.pose_control, PoseControlNet):
        own = model.pose_control.state_dict()
        _load(model.pose_control, {name: value for name, value in unet.items() if name in own}, "pose_control")
    codec, foreground = _expected(model.codec, KlCodec), _expected(model.foreground, ClipForeground)
    _load(codec.vae, AutoencoderKL.from_pretrained(str(folder), subfolder="vae").state_dict(), "codec")
    clip = CLIPVisionModelWithProjection.from_pretrained(str(folder), subfolder="image_encoder")
    _load(_tower(foreground.clip), _tower(clip).state_dict(), "foreground")
    _load(foreground.projection, clip.visual_projection.state_dict(), "foreground")


def _load(module: nn.Module, weights: dict[str, Tensor], part: str) -> None:
    own = module.state_dict()
    faults: list[tuple[str, Callable[[str], bool], list[str]]] = [
        ("has no place for", lambda name: name not in own, list(weights)),
        ("gets nothing for", lambda name: name not in weights and not any(mark in name for mark in _ADDED), list(own)),
        (
            "has another shape for",
            lambda name: name in weights and own[name].shape != weights[name].shape,
            list(own),
        ),
    ]
    for what, wrong, names in faults:
        found = [name for name in names if wrong(name)]
        if found:
            raise WeightsError(
                f"pre-trained weights: {part} {what} {found[0]} and {len(found) - 1} more; "
                "set the recipe's sizes to those of the weights, or weights=none"
            )
    module.load_state_dict(weights, strict=False)


def _expected(module: nn.Module, kind: type[T]) -> T:
    if not isinstance(module, kind):
        raise WeightsError(f"pre-trained weights need a {kind.__name__}, the recipe has {type(module).__name__}")
    return module


def _tower(clip: nn.Module) -> nn.Module:
    return getattr(clip, "vision_model", clip)
