"""Stable Diffusion as one file under its original names, as model sites hand it out: U-Net and autoencoder of it."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from idol_model.codecs import JointKlCodec, KlCodec
from idol_model.codecs.kl import inflated
from idol_model.model import IdolModel
from idol_model.pose_control import PoseControlNet
from idol_model.weights.fit import Fit, WeightsError, load
from idol_model.weights.loaders import ADDED, encoder_of

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."


def read(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        WeightsError: a pickled or damaged file, or one without Stable Diffusion's networks.
    """
    if file.suffix != ".safetensors":
        raise WeightsError(
            f"{file}: is no safetensors file; a pickled checkpoint can run code when it is read, so it is not. Take "
            "the safetensors file of the same model"
        )
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise WeightsError(f"{file}: damaged ({error}); bring it again") from error
    for prefix in (_UNET, _VAE):
        if not any(name.startswith(prefix) for name in tensors):
            raise WeightsError(f"{file}: holds no {prefix}* weights; name a whole Stable Diffusion checkpoint")
    return tensors


def load_single_file(model: IdolModel, file: Path) -> list[Fit]:
    """Fill U-Net, ControlNet encoder and autoencoder.

    Raises:
        WeightsError: as `read`, or they do not fit.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    tensors, source = read(file), str(file)
    unet = convert_ldm_unet_checkpoint(tensors, {"layers_per_block": model.unet.sizes.depth})
    fits = [load(model.unet, unet, ("unet", source), ADDED)]
    model.unet.begin_from_input()
    if isinstance(model.pose_control, PoseControlNet):
        fits.append(load(model.pose_control, encoder_of(unet), ("pose_control", source), (*ADDED, "controlnet_")))
    codec = model.codec
    if not isinstance(codec, KlCodec | JointKlCodec):
        raise WeightsError(f"{source}: fills a KlCodec, the recipe has a {type(codec).__name__}")
    levels = range(len(codec.sizes.widths))
    vae = convert_ldm_vae_checkpoint(tensors, {"down_block_types": levels, "up_block_types": levels})
    if isinstance(codec, JointKlCodec):
        vae = inflated(vae)
    return [*fits, load(codec.vae, vae, ("codec", source))]
