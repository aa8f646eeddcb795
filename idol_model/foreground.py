"""Foreground encoders: the picture of the person becomes condition tokens (Sec. 3.1, CLIP(f)).

`ClipForeground` is CLIP ViT-L/14 as DisCo uses it: all 257 tokens of the last hidden state, behind the final
LayerNorm, then a trainable projection without bias. `ConvForeground` is the small encoder of the ``demo`` recipe.
An encoder is `project` of `read`: what `read` gives is never trained, so it can be made once and kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel

from idol_model.config import from_dict, to_dict

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipForegroundConfig:
    """CLIP ViT-L/14's vision tower and the projection to the U-Net's token width."""

    kind: Literal["clip"] = "clip"
    tokens: int = 768
    hidden: int = 1024
    layers: int = 24
    heads: int = 16
    patch: int = 14
    size: int = 224


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvForegroundConfig:
    """A small trained encoder: patches, residual convolutions, a learned position for each token."""

    kind: Literal["conv"] = "conv"
    tokens: int = 128
    width: int = 64
    depth: int = 2
    size: int = 64
    factor: int = 8
    """Side of the picture region behind one token."""


ForegroundConfig = ClipForegroundConfig | ConvForegroundConfig


class ClipForeground(ModelMixin, ConfigMixin):
    """CLIP's tokens; only the projection is trained."""

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = from_dict(ClipForegroundConfig, sizes)
        own = self.sizes
        self.input_size, self.mean, self.std, self.width = own.size, CLIP_MEAN, CLIP_STD, own.tokens
        self.clip = CLIPVisionModel(
            CLIPVisionConfig(
                hidden_size=own.hidden,
                intermediate_size=4 * own.hidden,
                num_hidden_layers=own.layers,
                num_attention_heads=own.heads,
                patch_size=own.patch,
                image_size=own.size,
            )
        ).requires_grad_(False)
        self.projection = nn.Linear(own.hidden, own.tokens, bias=False)

    def read(self, foreground_BCHW: Tensor) -> Tensor:
        """[B, 3, size, size], CLIP-normalised, removed pixels 0 -> [B, 257, hidden]: CLIP itself, never trained."""
        return _final_norm(self.clip)(self.clip(pixel_values=foreground_BCHW).last_hidden_state)

    def project(self, read_BTD: Tensor) -> Tensor:
        """What is trained: [B, 257, hidden] -> tokens [B, 257, tokens]."""
        return self.projection(read_BTD)

    def frozen_state(self) -> dict[str, Tensor]:
        """The weights that `read` depends on."""
        return self.clip.state_dict()

    def forward(self, foreground_BCHW: Tensor) -> Tensor:
        """[B, 3, size, size], CLIP-normalised, removed pixels 0 -> tokens [B, 257, tokens]."""
        return self.project(self.read(foreground_BCHW))

    def null(self, foreground_BCHW: Tensor) -> Tensor:
        """Tokens of the foreground left out: of an all-zero picture, as DisCo trains its dropout."""
        return self(torch.zeros_like(foreground_BCHW))


class ConvForeground(ModelMixin, ConfigMixin):
    """Trained together with the U-Net."""

    @register_to_config
    def __init__(self, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.sizes = from_dict(ConvForegroundConfig, sizes)
        own = self.sizes
        self.input_size, self.mean, self.std, self.width = own.size, (0.5,) * 3, (0.5,) * 3, own.tokens
        side = own.size // own.factor
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(own.factor // 2), nn.Conv2d(3 * (own.factor // 2) ** 2, own.width, 3, padding=1)
        )
        self.blocks = nn.ModuleList(nn.Conv2d(own.width, own.width, 3, padding=1) for _ in range(2 * own.depth))
        self.merge = nn.Conv2d(own.width, own.tokens, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, side * side, own.tokens))
        self.norm = nn.LayerNorm(own.tokens)

    def read(self, foreground_BCHW: Tensor) -> Tensor:
        """The pictures as they are: no part is frozen."""
        return foreground_BCHW

    def frozen_state(self) -> dict[str, Tensor]:
        """The weights that `read` depends on: none."""
        return {}

    def project(self, foreground_BCHW: Tensor) -> Tensor:
        """What is trained: all."""
        return self(foreground_BCHW)

    def forward(self, foreground_BCHW: Tensor) -> Tensor:
        """[B, 3, size, size] in [-1, 1], removed pixels 0 -> tokens [B, (size/factor)^2, tokens]."""
        x_BCHW = self.stem(foreground_BCHW)
        for convolution in self.blocks:
            x_BCHW = x_BCHW + convolution(functional.silu(x_BCHW))
        tokens_BTD = self.merge(x_BCHW).flatten(2).transpose(1, 2)
        return self.norm(tokens_BTD + self.position)

    def null(self, foreground_BCHW: Tensor) -> Tensor:
        """Tokens of the foreground left out: of an all-zero picture."""
        return self(torch.zeros_like(foreground_BCHW))


Foreground = ClipForeground | ConvForeground


def build(config: ForegroundConfig) -> Foreground:
    """The encoder of a configuration, freshly initialised."""
    return class_of(config)(to_dict(config))


def class_of(config: ForegroundConfig) -> type[Foreground]:
    """The class of a configuration's encoder."""
    return ClipForeground if isinstance(config, ClipForegroundConfig) else ConvForeground


def _final_norm(clip: CLIPVisionModel) -> nn.Module:
    tower = getattr(clip, "vision_model", clip)
    return tower.post_layernorm
