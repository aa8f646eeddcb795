"""Cross-modal coupling: the only places where information flows between streams.

Sec. 3.1 "Cross-modal attention": at the end of a block the video and depth features of one frame are concatenated and
attend to each other in space, not in time.
"""

from collections.abc import Callable
from typing import Literal

from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from idol_model.types import Layout
from idol_model.unet.temporal import zero_output

CouplingKind = Literal["none", "joint_spatial"]


class NoCoupling(nn.Module):
    """Streams stay apart."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        del channels, heads

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:
        del layout
        return x_NCHW


class JointSpatialAttention(nn.Module):
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


COUPLING: dict[CouplingKind, Callable[[int, int], nn.Module]] = {
    "none": NoCoupling,
    "joint_spatial": JointSpatialAttention,
}
