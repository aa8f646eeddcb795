"""Stable Diffusion's autoencoder: one for each modality, or LDM3D's joint one for video and depth together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor

from idol_model.chance import Chance
from idol_model.codecs.modalities import Joint, PerModality
from idol_model.codecs.reconstruction import reconstruction
from idol_model.config import from_dict, to_dict

_KL_WEIGHT = 1e-6
"""Weight of the Kullback-Leibler term, latent diffusion's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KlSizes:
    """Sizes of an autoencoder; the defaults are Stable Diffusion v1.4's: factor 8, 4 channels."""

    latent_channels: int = 4
    widths: tuple[int, ...] = (128, 256, 512, 512)
    depth: int = 2
    groups: int = 32
    scaling: float = 0.18215


@dataclass(frozen=True, kw_only=True, slots=True)
class KlCodecConfig(KlSizes):
    """Video and depth each through Stable Diffusion's autoencoder."""

    kind: Literal["kl"] = "kl"


@dataclass(frozen=True, kw_only=True, slots=True)
class JointKlCodecConfig(KlSizes):
    """Video and depth together through LDM3D's autoencoder: six channels in, six out."""

    kind: Literal["joint_kl"] = "joint_kl"


class _Kl(ModelMixin, ConfigMixin):
    """`diffusers.AutoencoderKL` behind the face of a codec; latents are the mean, so encoding is deterministic."""

    sizes: KlSizes
    CHANNELS: ClassVar[int]

    def build(self, own: KlSizes) -> None:
        """Give the codec its parts."""
        self.sizes = own
        levels = len(own.widths)
        self.latent_channels, self.factor = own.latent_channels, 2 ** (levels - 1)
        # Through Any: diffusers annotates these arguments as one-element tuples.
        self.vae: Any = cast(Any, AutoencoderKL)(
            in_channels=self.CHANNELS,
            out_channels=self.CHANNELS,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=own.widths,
            layers_per_block=own.depth,
            latent_channels=own.latent_channels,
            norm_num_groups=own.groups,
            scaling_factor=own.scaling,
        )

    @classmethod
    def of(cls, config: KlSizes) -> Self:
        """The codec of a configuration, freshly initialised."""
        return cast(Any, cls)(to_dict(config))

    @apply_forward_hook
    def encode(self, x_NCHW: Tensor) -> Tensor:
        """Pictures in [-1, 1] to scaled latents."""
        return self.vae.encode(x_NCHW).latent_dist.mean * self.sizes.scaling

    @apply_forward_hook
    def decode(self, z_NCHW: Tensor) -> Tensor:
        """Scaled latents to pictures, about [-1, 1]."""
        return self.vae.decode(z_NCHW / self.sizes.scaling).sample

    def loss(self, x_NCHW: Tensor, chance: Chance, edge_weight: float = 0.0) -> dict[str, Tensor]:
        """Terms of fine-tuning: reconstruction from a drawn latent, and the Kullback-Leibler term."""
        distribution = self.vae.encode(x_NCHW).latent_dist
        mean, spread = distribution.mean, distribution.std
        drawn = mean + spread * chance.normal(*mean.shape[1:]).to(mean)
        terms = reconstruction(self.vae.decode(drawn).sample, x_NCHW, edge_weight)
        kl = distribution.kl().mean()
        return {**terms, "kl": kl, "total": terms["total"] + _KL_WEIGHT * kl}

    def calibrate(self, x_NCHW: Tensor) -> None:
        """Nothing: the published scale of the latents stays."""
        del x_NCHW


class KlCodec(PerModality, _Kl):
    """Stable Diffusion's autoencoder as it is."""

    CHANNELS = 3

    @staticmethod
    def adapted(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Stable Diffusion's weights as they are."""
        return weights

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.build(from_dict(KlCodecConfig, sizes))


class JointKlCodec(Joint, _Kl):
    """LDM3D's autoencoder (Tab. 1, row LDM3D): first and last convolution take and give six channels."""

    CHANNELS = 6

    @staticmethod
    def adapted(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Stable Diffusion's weights `inflated`."""
        return inflated(weights)

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.build(from_dict(JointKlCodecConfig, sizes))


def inflated(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stable Diffusion's weights for the joint autoencoder: it reads the video as before and gives it as before.

    The depth half is read with weights of zero and given as a copy of the video; fine-tuning makes it depth.
    """
    given = dict(weights)
    read = given["encoder.conv_in.weight"]
    given["encoder.conv_in.weight"] = torch.cat([read, torch.zeros_like(read)], dim=1)
    for name in ("decoder.conv_out.weight", "decoder.conv_out.bias"):
        given[name] = torch.cat([given[name]] * 2)
    return given
