"""Stable Diffusion as one file under its original names, as model sites hand it out: U-Net and autoencoder of it."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from idol_model.model import IdolModel
from idol_model.weights import loaders
from idol_model.weights.fit import Fit, WeightsError

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

    tensors = read(file)
    unet = convert_ldm_unet_checkpoint(tensors, {"layers_per_block": model.unet.sizes.depth})
    levels = range(sum(name.endswith(".downsample.conv.weight") for name in tensors if name.startswith(_VAE)) + 1)
    vae = convert_ldm_vae_checkpoint(tensors, {"down_block_types": levels, "up_block_types": levels})
    return loaders.fill(model, unet, vae, str(file))
