"""The pose ControlNet: a copy of the encoder that reads the pose and speaks through zero convolutions.

Sec. 3.1 follows DisCo: one pose ControlNet for both modalities, temporal layers included (417.65 M at full size).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from idol_model.config import from_dict, to_dict
from idol_model.pose_control.hints import HINTS, HintKind, LatentHint, PictureEncoder, PixelHint
from idol_model.unet.background import BACKGROUND, BackgroundKind
from idol_model.unet.control import Control
from idol_model.unet.coupling import NoCoupling
from idol_model.unet.encoder import EncoderConfig, EncoderParts, build_encoder, embed, run_encoder
from idol_model.unet.sharing import SHARING
from idol_model.unet.signal import Signal, fold, over_frames, over_streams


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlNetConfig(EncoderConfig):
    """The encoder's sizes, and how pose and background enter."""

    kind: Literal["controlnet"] = "controlnet"
    hint: HintKind = "pixels"
    """What is read of the rendered pose."""
    hint_widths: tuple[int, ...] = (16, 32, 96, 256)
    """Of the stack that reads pixels."""
    background: BackgroundKind = "none"
    """Whether the pose network sees the background too; the paper adds it to the U-Net's input."""


class PoseControlNet(ModelMixin, ConfigMixin, PeftAdapterMixin, EncoderParts):
    """Reads the noisy latents and the pose; parameter names are those of `diffusers.ControlNetModel`."""

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = from_dict(ControlNetConfig, sizes)
        own = self.sizes
        build_encoder(self, own, NoCoupling)
        self.controlnet_cond_embedding = HINTS[own.hint].layer(own.in_channels, own.widths[0], own.hint_widths)
        self.conv_background = BACKGROUND[own.background](own.in_channels, own.widths[0])
        self.controlnet_down_blocks = nn.ModuleList(_zero_convolution(width) for width in _skip_widths(own))
        self.controlnet_mid_block = _zero_convolution(own.widths[-1])
        SHARING[own.sharing](self, own.streams, read_alike=(PixelHint, LatentHint))

    @classmethod
    def of(cls, config: ControlNetConfig) -> "PoseControlNet":
        """The network of a configuration, freshly initialised."""
        return cls(to_dict(config))

    def read(self, pose_BLCHW: Tensor, codec: PictureEncoder) -> Tensor:
        """What `prepare` wants of the pose pictures in [0, 1]: them, or their latents."""
        return HINTS[self.sizes.hint].read(pose_BLCHW, codec)

    @apply_forward_hook
    def prepare(self, pose_BLCHW: Tensor) -> Tensor:
        """What `read` returned to features at latent size, the same for all steps.

        [1, B, L, C, h, w], read by all streams alike; [S, ...] where each has its own network.
        """
        return self.controlnet_cond_embedding(pose_BLCHW.flatten(0, 1)).unflatten(0, (-1, *pose_BLCHW.shape[:2]))

    def forward(
        self, z_SBLCHW: Tensor, t_B: Tensor, tokens_BTD: Tensor, background_BCHW: Tensor, hint_SBLCHW: Tensor
    ) -> Control:
        """What to add to the U-Net; ``hint_SBLCHW`` is what `prepare` returned."""
        z_NCHW, layout = fold(z_SBLCHW)
        signal = Signal(*embed(self, t_B, tokens_BTD, layout), layout)
        hint_NCHW = hint_SBLCHW.expand(layout.streams, *[-1] * 5).flatten(0, 2)
        background_NCHW = over_frames(self.conv_background(over_streams(background_BCHW, layout)), layout)
        mid_NCHW, skips = run_encoder(self, self.conv_in(z_NCHW) + hint_NCHW + background_NCHW, signal)
        spoken = tuple(zero(skip) for zero, skip in zip(self.controlnet_down_blocks, skips, strict=True))
        return Control(spoken, self.controlnet_mid_block(mid_NCHW))


def _skip_widths(sizes: EncoderConfig) -> list[int]:
    """Width of each skip, in the order of `run_encoder`."""
    widths = [sizes.widths[0]]
    for i, width in enumerate(sizes.widths):
        widths += [width] * (sizes.depth + (i < len(sizes.widths) - 1))
    return widths


def _zero_convolution(width: int) -> nn.Conv2d:
    convolution = nn.Conv2d(width, width, 1)
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution
