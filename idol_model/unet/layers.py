"""The two layers a stage is made of, with diffusers' parameter names, so that Stable Diffusion weights fit as they are.

Each walks its parts in the open and calls the temporal socket where the paper puts it (Sec. 3.1, Fig. 2 right).
"""

from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional

from idol_model.unet.cross_maps import CrossMaps
from idol_model.unet.signal import Signal
from idol_model.unet.spec import LayerSpec
from idol_model.unet.taps import NO_TAPS


class ResBlock(nn.Module):
    """Residual block with a temporal layer at the end of its residual branch; [N, in, H, W] -> [N, out, H, W]."""

    def __init__(self, spec: LayerSpec, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = spec.norm(spec.groups, in_channels, eps=1e-5)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(spec.embedding, out_channels)
        self.norm2 = spec.norm(spec.groups, out_channels, eps=1e-5)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.temporal = spec.temporal.convolution(out_channels, spec.groups, spec.norm)
        same = in_channels == out_channels
        self.conv_shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x_NCHW: Tensor, signal: Signal) -> Tensor:
        h_NCHW = self.conv1(functional.silu(self.norm1(x_NCHW, signal.layout)))
        h_NCHW = h_NCHW + self.time_emb_proj(functional.silu(signal.embedding_ND))[:, :, None, None]
        h_NCHW = self.conv2(functional.silu(self.norm2(h_NCHW, signal.layout)))
        h_NCHW = self.temporal(h_NCHW, signal.layout)
        return self.conv_shortcut(x_NCHW) + h_NCHW


class TransformerBlock(nn.Module):
    """Spatial self-attention, temporal attention, cross-attention, feed-forward; all pre-norm and residual."""

    def __init__(self, spec: LayerSpec, channels: int) -> None:
        super().__init__()
        head = channels // spec.heads
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads=spec.heads, dim_head=head)
        self.temporal = spec.temporal.attention(channels, spec.heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, cross_attention_dim=spec.tokens, heads=spec.heads, dim_head=head)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels, activation_fn="geglu")
        self._cross_maps: CrossMaps = spec.cross_maps

    def forward(self, x_NPD: Tensor, signal: Signal, tapped: bool) -> Tensor:
        taps = signal.taps if tapped else NO_TAPS
        normed_NPD = self.norm1(x_NPD)
        attended_NPD = self.attn1(normed_NPD)
        taps.offer("self_attention_input", normed_NPD)
        taps.offer("self_attention", attended_NPD)
        x_NPD = self.temporal(attended_NPD + x_NPD, signal.layout)
        record = taps.recorder("cross_maps")
        seen_NPD = self._cross_maps.attend(self.attn2, self.norm2(x_NPD), signal.tokens_VTD, signal.layout, record)
        x_NPD = seen_NPD + x_NPD
        x_NPD = self.ff(self.norm3(x_NPD)) + x_NPD
        taps.offer("block", x_NPD)
        return x_NPD


class SpatialTransformer(nn.Module):
    """A transformer block over the positions of each picture, between two 1 x 1 convolutions, residual."""

    def __init__(self, spec: LayerSpec, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(spec.groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(spec, channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x_NCHW: Tensor, signal: Signal, tapped: bool = False) -> Tensor:
        n, c, h, w = x_NCHW.shape
        y_NPD = self.proj_in(self.norm(x_NCHW)).permute(0, 2, 3, 1).reshape(n, h * w, c)
        for block in self.transformer_blocks:
            y_NPD = block(y_NPD, signal, tapped)
        y_NCHW = y_NPD.reshape(n, h, w, c).permute(0, 3, 1, 2).contiguous()
        return self.proj_out(y_NCHW) + x_NCHW
