"""Cross-modal coupling: the only places where information flows between streams.

Sec. 3.1 "Cross-modal attention": at the end of a block the video and depth features of one frame are concatenated and
attend to each other in space, not in time.
"""

from collections.abc import Callable
from typing import Literal

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from idol_model.types import Layout
from idol_model.unet.temporal import zero_output

CouplingKind = Literal["none", "joint_spatial", "random_shift"]


class Coupling(nn.Module):
    """What joins the streams at the end of a block; belongs to none of them, even where networks are separate."""


class NoCoupling(Coupling):
    """Streams stay apart."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        del channels, heads

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:
        del layout
        return x_NCHW


class JointSpatialAttention(Coupling):
    """One self-attention over the S*P tokens of all streams of a frame; the identity at initialisation."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attn = zero_output(Attention(channels, heads=heads, dim_head=channels // heads))

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:
        n, c, h, w = x_NCHW.shape
        s, frames = layout.streams, n // layout.streams
        x_FSPD = x_NCHW.view(s, frames, c, h * w).permute(1, 0, 3, 2).reshape(frames, s * h * w, c)
        y_FSPD = x_FSPD + self.attn(self.norm(x_FSPD))
        return y_FSPD.view(frames, s, h * w, c).permute(1, 0, 3, 2).reshape(n, c, h, w)


class RandomShiftAttention(Coupling):
    """MM-Diffusion's random-shift attention between two streams; the identity at initialisation.

    Every frame looks at a few consecutive frames of the other stream, which begin a shift later, around the clip's end.
    The shift is drawn anew at each call in training and is 0 otherwise. Each direction has its own attention.
    """

    WINDOW = 4
    """Frames of the other stream that a frame looks at."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        head = channels // heads
        attentions = (Attention(channels, channels, heads=heads, dim_head=head) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.attns = nn.ModuleList(zero_output(attention) for attention in attentions)

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:
        n, c, h, w = x_NCHW.shape
        x_SBLPD = x_NCHW.view(2, layout.clips, layout.frames, c, h * w).transpose(-1, -2)
        streams = list(x_SBLPD)
        normed = [norm(x_BLPD) for norm, x_BLPD in zip(self.norms, streams, strict=True)]
        seen_LW = self._seen(layout.frames, x_NCHW.device)
        y = [
            own + self._look(attention, query, other[:, seen_LW].flatten(2, 3))
            for attention, own, query, other in zip(self.attns, streams, normed, normed[::-1], strict=True)
        ]
        return torch.stack(y).transpose(-1, -2).reshape(n, c, h, w)

    def _seen(self, frames: int, device: torch.device) -> Tensor:
        """The other stream's frame numbers that each frame looks at, [L, W]."""
        shift = int(torch.randint(frames, ())) if self.training else 0
        around_L1 = torch.arange(frames, device=device)[:, None] + shift
        return (around_L1 + torch.arange(min(self.WINDOW, frames), device=device)) % frames

    @staticmethod
    def _look(attention: nn.Module, query_BLPD: Tensor, other_BLTD: Tensor) -> Tensor:
        seen_NPD = attention(query_BLPD.flatten(0, 1), encoder_hidden_states=other_BLTD.flatten(0, 1))
        return seen_NPD.view(query_BLPD.shape)


COUPLING: dict[CouplingKind, Callable[[int, int], nn.Module]] = {
    "none": NoCoupling,
    "joint_spatial": JointSpatialAttention,
    "random_shift": RandomShiftAttention,
}
