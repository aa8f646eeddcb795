"""From the files of published models to the parts of ours. Each loader fills what its source has and nothing else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from idol_model import selection
from idol_model.codecs import JointKlCodec, KlCodec
from idol_model.foreground import ClipForeground
from idol_model.model import IdolModel
from idol_model.pose_control import PoseAdapter, PoseControlNet
from idol_model.weights.fit import Fit, Part, WeightsError, load

Loader = Callable[[IdolModel, Path, str], list[Fit]]
"""(model, folder, name of the source) -> what was filled."""

T = TypeVar("T", bound=nn.Module)

ADDED = (selection.TEMPORAL, selection.MOTION, selection.COUPLING, *selection.ADDED)
"""Marks of the paper's additions to Stable Diffusion."""


def stable_diffusion(model: IdolModel, folder: Path, source: str) -> list[Fit]:
    """U-Net and autoencoder of a diffusers folder; the pose ControlNet begins as a copy of the U-Net's encoder."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return fill(model, _read(UNet2DConditionModel, folder, "unet"), _read(AutoencoderKL, folder, "vae"), source)


def fill(model: IdolModel, unet: Mapping[str, Tensor], vae: Mapping[str, Tensor], source: str) -> list[Fit]:
    """U-Net, ControlNet encoder and codec from Stable Diffusion's two networks, under diffusers' names."""
    codec = _expected(model.codec, (KlCodec, JointKlCodec), source)
    parts = [Part(name="unet", module=model.unet, weights=unet, may_stay=ADDED)]
    if isinstance(model.pose_control, PoseControlNet):
        stay = (*ADDED, "controlnet_")
        parts.append(Part(name="pose_control", module=model.pose_control, weights=encoder_of(unet), may_stay=stay))
    parts.append(Part(name="codec", module=codec.vae, weights=codec.adapted(vae)))
    fits = load(source, *parts)
    model.unet.begin_from_input()
    return fits


def image_variations(model: IdolModel, folder: Path, source: str) -> list[Fit]:
    """Stable Diffusion image variations: as `stable_diffusion`, and its CLIP encoder with the projection."""
    return [*stable_diffusion(model, folder, source), *clip_vision(model, folder / "image_encoder", source)]


def clip_vision(model: IdolModel, folder: Path, source: str) -> list[Fit]:
    """CLIP's vision tower and projection."""
    from transformers import CLIPVisionModelWithProjection

    foreground = _expected(model.foreground, (ClipForeground,), source)
    clip = CLIPVisionModelWithProjection.from_pretrained(str(folder))
    projection = clip.visual_projection.state_dict()
    return load(
        source,
        Part(name="foreground", module=_tower(foreground.clip), weights=_tower(clip).state_dict()),
        Part(name="foreground.projection", module=foreground.projection, weights=projection),
    )


def controlnet(model: IdolModel, folder: Path, source: str) -> list[Fit]:
    """A published ControlNet, such as the OpenPose one, with its zero convolutions and its reader of poses."""
    from diffusers.models.controlnets.controlnet import ControlNetModel

    pose_control = _expected(model.pose_control, (PoseControlNet,), source)
    weights = _read(ControlNetModel, folder)
    return load(source, Part(name="pose_control", module=pose_control, weights=weights, may_stay=ADDED))


def t2i_adapter(model: IdolModel, folder: Path, source: str) -> list[Fit]:
    """A published T2I-Adapter."""
    from diffusers.models.adapter import T2IAdapter

    pose_control = _expected(model.pose_control, (PoseAdapter,), source)
    return load(source, Part(name="pose_control", module=pose_control, weights=_read(T2IAdapter, folder)))


def motion_adapter(model: IdolModel, folder: Path, source: str) -> list[Fit]:
    """AnimateDiff's motion modules, into a U-Net whose temporal socket holds them."""
    from diffusers.models.unets.unet_motion_model import MotionAdapter

    names = model.unet.state_dict()
    if not any(selection.MOTION in name for name in names):
        raise WeightsError(f"{source}: the U-Net has no motion modules; set unet.temporal=animatediff")
    others = tuple(name for name in names if selection.MOTION not in name)
    return load(source, Part(name="unet", module=model.unet, weights=_read(MotionAdapter, folder), may_stay=others))


def encoder_of(unet: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a U-Net that a ControlNet of the same sizes has too."""
    decoder = ("up_blocks.", "conv_norm_out.", "conv_out.")
    return {name: value for name, value in unet.items() if not name.startswith(decoder)}


def _read(kind: Any, folder: Path, part: str | None = None) -> dict[str, Tensor]:
    """The weights of one of diffusers' networks; raises `WeightsError` where the folder does not hold it."""
    try:
        return kind.from_pretrained(str(folder), subfolder=part, local_files_only=True).state_dict()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / (part or '')}: holds no whole {kind.__name__} ({error})") from error


def _expected(module: nn.Module, kinds: tuple[type[T], ...], source: str) -> T:
    if not isinstance(module, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise WeightsError(f"{source}: fills a {wanted}, the recipe has a {type(module).__name__}")
    return module


def _tower(clip: nn.Module) -> nn.Module:
    return getattr(clip, "vision_model", clip)
