"""The unified dual-modal U-Net (Sec. 3.1): one forward, five sockets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.attention import AttentionMixin
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

from idol_model.config import from_dict, to_dict
from idol_model.unet.background import BackgroundConvolution
from idol_model.unet.control import NO_CONTROL, Control
from idol_model.unet.coupling import COUPLING, CouplingKind
from idol_model.unet.encoder import EncoderConfig, EncoderParts, build_encoder, embed, run_encoder
from idol_model.unet.sharing import SHARING
from idol_model.unet.signal import Signal, fold, over_frames, over_streams, unfold
from idol_model.unet.stages import UpStage
from idol_model.unet.taps import NO_TAPS, Taps


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetConfig(EncoderConfig):
    """The dual-modal U-Net: the encoder's sizes and the coupling of its streams."""

    coupling: CouplingKind = "joint_spatial"


class DualModalUNet(ModelMixin, ConfigMixin, AttentionMixin, PeftAdapterMixin, EncoderParts):
    """Predicts the noise (or velocity) of all streams at once; below the fold nothing knows what a stream is.

    Parameter names are those of `diffusers.UNet2DConditionModel`; the additions are ``temporal``, ``coupling`` and
    ``conv_background``, each the identity at initialisation.
    """

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = from_dict(UNetConfig, sizes)
        own = self.sizes
        coupler = COUPLING[own.coupling]
        build_encoder(self, own, coupler)
        self.conv_background = BackgroundConvolution(own.in_channels, own.widths[0])
        self.up_blocks = nn.ModuleList(_up_stages(own))
        self.conv_norm_out = own.spec.norm(own.groups, own.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(own.widths[0], own.in_channels, 3, padding=1)
        SHARING[own.sharing](self, own.streams)

    @classmethod
    def of(cls, config: UNetConfig) -> "DualModalUNet":
        """The network of a configuration, freshly initialised."""
        return cls(to_dict(config))

    def forward(
        self,
        z_SBLCHW: Tensor,
        t_B: Tensor,
        tokens_BTD: Tensor,
        background_BCHW: Tensor,
        control: Control = NO_CONTROL,
        taps: Taps = NO_TAPS,
    ) -> Tensor:
        """One denoising call (the epsilon_theta of Eq. 2).

        Args:
            z_SBLCHW: noisy latents of all streams.
            t_B: diffusion time of each clip, shared by streams and frames.
            tokens_BTD: foreground tokens.
            background_BCHW: background latent, added to every frame's input (Sec. 3.1).
            control: what the pose network adds to skips and mid features.
            taps: features that a loss wants recorded.

        Returns:
            The prediction, shaped like ``z_SBLCHW``.
        """
        z_NCHW, layout = fold(z_SBLCHW)
        embedding_ND, tokens_VTD = embed(self, t_B, tokens_BTD, layout)
        signal = Signal(embedding_ND, tokens_VTD, layout, taps)

        background_NCHW = over_frames(self.conv_background(over_streams(background_BCHW, layout)), layout)
        x_NCHW, skips = run_encoder(self, self.conv_in(z_NCHW) + background_NCHW, signal, control)
        x_NCHW, skips = control.added(x_NCHW, skips)
        for stage in self.up_blocks:
            x_NCHW = stage(x_NCHW, skips, signal)
        x_NCHW = self.conv_out(functional.silu(self.conv_norm_out(x_NCHW, layout)))
        return unfold(x_NCHW, layout)

    def begin_from_input(self) -> None:
        """Let the background start as a copy of the latent's own input convolution, as DisCo initialises its own."""
        with torch.no_grad():
            for own, latent in zip(self.conv_background.parameters(), _weights(self.conv_in), strict=True):
                own.copy_(latent)


def _weights(convolution: nn.Module) -> list[Tensor]:
    """The weights without the biases; several where streams have networks of their own."""
    return [value for name, value in convolution.named_parameters() if name.endswith("weight")]


def _up_stages(sizes: UNetConfig) -> list[UpStage]:
    """Up stages mirror the down stages; each takes the skips of its own level and one of the level below."""
    widths = sizes.widths[::-1]
    levels = len(widths)
    stages = []
    for i, (out, attention) in enumerate(zip(widths, sizes.attention[::-1], strict=True)):
        before, below = widths[max(i - 1, 0)], widths[min(i + 1, levels - 1)]
        skip_widths = [out] * sizes.depth + [below]
        inputs = [(before if j == 0 else out) + skip for j, skip in enumerate(skip_widths)]
        coupler = COUPLING[sizes.coupling if attention else "none"]
        stages.append(UpStage(sizes.spec, (inputs, out), attention, i == levels - 1, coupler))
    return stages
