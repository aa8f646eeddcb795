"""The small autoencoder that the ``demo`` recipe trains itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn
from torch.nn import functional

from idol_model.chance import Chance
from idol_model.codecs.modalities import PerModality
from idol_model.codecs.reconstruction import reconstruction
from idol_model.config import from_dict, to_dict


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvCodecConfig:
    """A small convolutional autoencoder: space to depth, residual blocks, one halving more."""

    kind: Literal["conv"] = "conv"
    latent_channels: int = 8
    width: int = 64
    depth: int = 3
    patch: int = 4
    """Side of the patches folded into channels before anything else; the codec's factor is twice this."""


class ConvCodec(ModelMixin, ConfigMixin, PerModality):
    """The ``demo`` recipe's own codec. `calibrate` fixes the scale of its latents once it is trained."""

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = from_dict(ConvCodecConfig, sizes)
        own = self.sizes
        self.latent_channels, self.factor = own.latent_channels, 2 * own.patch
        inner, outer = own.width, 2 * own.width
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(own.patch),
            nn.Conv2d(3 * own.patch**2, inner, 3, padding=1),
            *(_Residual(inner) for _ in range(own.depth)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * inner, outer, 1),
            *(_Residual(outer) for _ in range(own.depth)),
            nn.Conv2d(outer, own.latent_channels, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(own.latent_channels, outer, 3, padding=1),
            *(_Residual(outer) for _ in range(own.depth)),
            nn.Conv2d(outer, 4 * inner, 1),
            nn.PixelShuffle(2),
            *(_Residual(inner) for _ in range(own.depth)),
            nn.Conv2d(inner, 3 * own.patch**2, 3, padding=1),
            nn.PixelShuffle(own.patch),
        )
        self.register_buffer("shift", torch.zeros(1, own.latent_channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, own.latent_channels, 1, 1))

    @classmethod
    def of(cls, config: ConvCodecConfig) -> "ConvCodec":
        """The codec of a configuration, freshly initialised."""
        return cls(to_dict(config))

    @apply_forward_hook
    def encode(self, x_NCHW: Tensor) -> Tensor:
        """Pictures in [-1, 1] to latents of zero mean and unit variance."""
        return (self.encoder(x_NCHW) - self.shift) / self.scale

    @apply_forward_hook
    def decode(self, z_NCHW: Tensor) -> Tensor:
        """Latents to pictures, about [-1, 1]."""
        return self.decoder(z_NCHW * self.scale + self.shift)

    def loss(self, x_NCHW: Tensor, chance: Chance, edge_weight: float = 0.0) -> dict[str, Tensor]:
        """Terms of the codec's training: squared and absolute difference, and that of picture gradients.

        A little noise on the latents (a twentieth of their spread) keeps neighbouring latents close to neighbouring
        pictures, so that a small error of the denoiser stays a small error of the picture.
        """
        z_NCHW = self.encoder(x_NCHW)
        spread = z_NCHW.detach().std(dim=(2, 3), keepdim=True)
        noise = chance.normal(*z_NCHW.shape[1:]).to(z_NCHW)
        y_NCHW = self.decoder(z_NCHW + 0.05 * spread * noise)
        return reconstruction(y_NCHW, x_NCHW, edge_weight)

    @torch.no_grad()
    def calibrate(self, x_NCHW: Tensor) -> None:
        """Set shift and scale from example pictures, so that latents have zero mean and unit variance a channel."""
        z_NCHW = self.encoder(x_NCHW)
        self.shift.copy_(z_NCHW.mean(dim=(0, 2, 3), keepdim=True))
        self.scale.copy_(z_NCHW.std(dim=(0, 2, 3), keepdim=True))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW + self.conv2(functional.silu(self.conv1(functional.silu(x_NCHW))))
