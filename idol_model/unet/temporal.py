"""Temporal layers: the only places where information flows between frames.

The handcrafted ones are DisCo's (Sec. 3.1 "adding a temporal convolutional layer in the ResBlock, and adding a temporal
attention layer after the spatial attention"): both residual, both zero at initialisation, no positional embedding.
AnimateDiff's motion modules (Tab. 3) come after each transformer instead, under the names of its published adapters.
A single frame passes all of them unchanged.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn
from torch.nn import functional

from idol_model.types import Layout
from idol_model.unet.norms import Norm

MAX_SEQUENCES = 65_535
"""Sequences that attend in one call. Fused attention kernels lay the batch along an axis of CUDA's launch grid that
ends there, and fail beyond; one sequence a position makes S * B * P: 65,536 for 32 clips of two streams at 32 x 32."""

TemporalKind = Literal["none", "handcrafted", "animatediff", "animatediff_v3"]


class TemporalLayers(Protocol):
    """The temporal socket: builds what goes to each of its places. ``middle`` says that the mid stage asks."""

    def convolution(self, channels: int, groups: int, norm: Norm) -> nn.Module:
        """At the end of a residual branch; called with ([N, C, H, W], layout)."""
        ...

    def attention(self, channels: int, heads: int) -> nn.Module:
        """After spatial self-attention; called with ([N, P, D], layout)."""
        ...

    def motion(self, channels: int, heads: int, groups: int, *, middle: bool) -> nn.Module:
        """After each residual block and its transformer; called with ([N, C, H, W], layout)."""
        ...


class Untouched(nn.Module):
    """The do-nothing temporal layer."""

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        del layout
        return x


class NoTemporal:
    """Single pictures: nothing connects the frames."""

    def convolution(self, channels: int, groups: int, norm: Norm) -> nn.Module:
        del channels, groups, norm
        return Untouched()

    def attention(self, channels: int, heads: int) -> nn.Module:
        del channels, heads
        return Untouched()

    def motion(self, channels: int, heads: int, groups: int, *, middle: bool) -> nn.Module:
        del channels, heads, groups, middle
        return Untouched()


class Handcrafted(NoTemporal):
    """DisCo's temporal convolution and attention."""

    def convolution(self, channels: int, groups: int, norm: Norm) -> nn.Module:
        return TemporalConvolution(channels, groups, norm)

    def attention(self, channels: int, heads: int) -> nn.Module:
        return TemporalAttention(channels, heads)


class AnimateDiff(NoTemporal):
    """AnimateDiff's motion modules; the published v3 adapter has none in the middle."""

    def __init__(self, *, in_the_middle: bool) -> None:
        self._in_the_middle = in_the_middle

    def motion(self, channels: int, heads: int, groups: int, *, middle: bool) -> nn.Module:
        if middle and not self._in_the_middle:
            return Untouched()
        return MotionModule(channels, heads, groups)


class FrameConvolution(nn.Conv1d):
    """Conv1d of width 3 along the frames at each position: [clips, C, L, P] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(torch.as_tensor(self.bias))

    def forward(self, x_CLP: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        # One 3 x 1 convolution over (frame, position) runs faster than a Conv1d over a batch of all positions.
        return functional.conv2d(x_CLP, self.weight.unsqueeze(-1), self.bias, padding=(1, 0))


class TemporalConvolution(nn.Module):
    """x + Conv1d_k3(SiLU(GroupNorm(x))) along the frames at each position."""

    def __init__(self, channels: int, groups: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(groups, channels, eps=1e-5)
        self.conv = FrameConvolution(channels)

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:
        if layout.frames == 1:
            return x_NCHW
        n, c, h, w = x_NCHW.shape
        y_NCHW = functional.silu(self.norm(x_NCHW, layout))
        y_CLP = self.conv(y_NCHW.view(n // layout.frames, layout.frames, c, h * w).transpose(1, 2))
        return x_NCHW + y_CLP.transpose(1, 2).reshape(n, c, h, w)


class TemporalAttention(nn.Module):
    """x + Attention(LayerNorm(x)) over the frames at each position."""

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
        y_TLD = _in_parts(self.attn, y_TLD, MAX_SEQUENCES)
        return x_NPD + y_TLD.view(tracks, p, layout.frames, d).transpose(1, 2).reshape(n, p, d)


class MotionModule(AnimateDiffTransformer3D):
    """AnimateDiff's temporal transformer, with positions in time; the identity at initialisation."""

    LONGEST = 32
    """Frames that the published adapters know."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__(
            num_attention_heads=heads,
            attention_head_dim=channels // heads,
            in_channels=channels,
            norm_num_groups=groups,
            positional_embeddings="sinusoidal",
            num_positional_embeddings=self.LONGEST,
        )
        for parameter in self.proj_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if layout.frames == 1:
            return x_NCHW
        clips = max(1, MAX_SEQUENCES // x_NCHW[0, 0].numel())  # of a stream; each is normalised by itself
        return _in_parts(partial(super().forward, num_frames=layout.frames), x_NCHW, clips * layout.frames)


def _in_parts(network: Callable[[Tensor], Tensor], x: Tensor, most: int) -> Tensor:
    """A network that treats the items of a batch alone, on at most ``most`` of them at a time."""
    parts = x.split(most)
    return network(x) if len(parts) == 1 else torch.cat([network(part) for part in parts])


def zero_output(attention: Attention) -> Attention:
    """The same attention with its output projection set to zero: the identity behind a residual."""
    for name, parameter in attention.named_parameters():
        if name.startswith("to_out."):
            nn.init.zeros_(parameter)
    return attention


TEMPORAL: dict[TemporalKind, TemporalLayers] = {
    "none": NoTemporal(),
    "handcrafted": Handcrafted(),
    "animatediff": AnimateDiff(in_the_middle=True),
    "animatediff_v3": AnimateDiff(in_the_middle=False),
}
