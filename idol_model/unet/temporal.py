"""Temporal layers: the only places where information flows between frames.

The handcrafted ones are DisCo's (Sec. 3.1 "adding a temporal convolutional layer in the ResBlock, and adding a temporal
attention layer after the spatial attention"): both residual, both zero at initialisation, no positional embedding.
GroupNorm stays per frame, so that an inflated image model is unchanged (``docs/deviations.md``).
"""

from typing import Literal, Protocol

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional

from idol_model.types import Layout

TemporalKind = Literal["none", "handcrafted"]


class TemporalLayers(Protocol):
    """The temporal socket: builds what goes at the end of a residual branch and after spatial self-attention."""

    def convolution(self, channels: int, groups: int) -> nn.Module: ...

    def attention(self, channels: int, heads: int) -> nn.Module: ...


class Untouched(nn.Module):
    """The do-nothing temporal layer."""

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        del layout
        return x


class NoTemporal:
    """Single pictures: nothing connects the frames."""

    def convolution(self, channels: int, groups: int) -> nn.Module:
        del channels, groups
        return Untouched()

    def attention(self, channels: int, heads: int) -> nn.Module:
        del channels, heads
        return Untouched()


class Handcrafted:
    """DisCo's temporal convolution and attention."""

    def convolution(self, channels: int, groups: int) -> nn.Module:
        return TemporalConvolution(channels, groups)

    def attention(self, channels: int, heads: int) -> nn.Module:
        return TemporalAttention(channels, heads)


class TemporalConvolution(nn.Module):
    """x + Conv1d_k3(SiLU(GroupNorm(x))) along the frames at each position; a single frame passes unchanged."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-5)
        self.conv = nn.Conv1d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(torch.as_tensor(self.conv.bias))

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:
        if layout.frames == 1:
            return x_NCHW
        n, c, h, w = x_NCHW.shape
        y_NCHW = functional.silu(self.norm(x_NCHW))
        y_CLP = y_NCHW.view(n // layout.frames, layout.frames, c, h * w).transpose(1, 2)
        # One 3 x 1 convolution over (frame, position) runs faster than a Conv1d over a batch of all positions.
        y_CLP = functional.conv2d(y_CLP, self.conv.weight.unsqueeze(-1), self.conv.bias, padding=(1, 0))
        return x_NCHW + y_CLP.transpose(1, 2).reshape(n, c, h, w)


class TemporalAttention(nn.Module):
    """x + Attention(LayerNorm(x)) over the frames at each position; a single frame passes unchanged."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attn = zero_output(Attention(channels, heads=heads, dim_head=channels // heads))

    def forward(self, x_NPD: Tensor, layout: Layout) -> Tensor:
        if layout.frames == 1:
            return x_NPD
        n, p, d = x_NPD.shape
        tracks = n // layout.frames
        y_TLD = self.norm(x_NPD).view(tracks, layout.frames, p, d).transpose(1, 2).reshape(tracks * p, layout.frames, d)
        y_TLD = self.attn(y_TLD)
        return x_NPD + y_TLD.view(tracks, p, layout.frames, d).transpose(1, 2).reshape(n, p, d)


def zero_output(attention: Attention) -> Attention:
    """The same attention with its output projection set to zero: the identity behind a residual."""
    for name, parameter in attention.named_parameters():
        if name.startswith("to_out."):
            nn.init.zeros_(parameter)
    return attention


TEMPORAL: dict[TemporalKind, TemporalLayers] = {"none": NoTemporal(), "handcrafted": Handcrafted()}
