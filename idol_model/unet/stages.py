"""Stages of the U-Net, with diffusers' parameter names. The pose ControlNet is built of the same ones."""

from collections.abc import Callable

from diffusers.models.downsampling import Downsample2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, cat, nn

from idol_model.unet.layers import ResBlock, SpatialTransformer
from idol_model.unet.signal import Signal
from idol_model.unet.spec import LayerSpec

Coupler = Callable[[int, int], nn.Module]
Enter = Callable[[Tensor], Tensor]


class DownStage(nn.Module):
    """Residual blocks, each with a transformer where ``attention``; coupling; halving unless last."""

    def __init__(
        self,
        spec: LayerSpec,
        channels: tuple[int, int],
        depth: int,
        attention: bool,
        last: bool,
        coupler: Coupler,
    ) -> None:
        super().__init__()
        inner, out = channels
        self.resnets = nn.ModuleList(ResBlock(spec, inner if i == 0 else out, out) for i in range(depth))
        self.attentions = _transformers(spec, out, depth, attention)
        self.motion_modules = _motion(spec, out, depth)
        self.coupling = coupler(out, spec.heads)
        self.downsamplers = nn.ModuleList([] if last else [Downsample2D(out, use_conv=True, name="op")])

    def forward(self, x_NCHW: Tensor, signal: Signal, enter: Enter) -> tuple[Tensor, list[Tensor]]:
        """The stage's output and its skips: one after each residual block, one after halving.

        ``enter`` adds what a pose adapter says to this stage.
        """
        skips: list[Tensor] = []
        last = len(self.resnets) - 1
        for i, resnet in enumerate(self.resnets):
            x_NCHW = resnet(x_NCHW, signal)
            for attention in self.attentions[i : i + 1]:
                x_NCHW = attention(x_NCHW, signal)
            x_NCHW = self.motion_modules[i](x_NCHW, signal.layout)
            if i == last:
                x_NCHW = enter(self.coupling(x_NCHW, signal.layout))
            skips.append(x_NCHW)
        for downsample in self.downsamplers:
            x_NCHW = downsample(x_NCHW)
            skips.append(x_NCHW)
        return x_NCHW, skips


class MidStage(nn.Module):
    """Residual block, transformer, residual block."""

    def __init__(self, spec: LayerSpec, channels: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResBlock(spec, channels, channels) for _ in range(2))
        self.attentions = nn.ModuleList([SpatialTransformer(spec, channels)])
        self.motion_modules = _motion(spec, channels, 1, middle=True)

    def forward(self, x_NCHW: Tensor, signal: Signal) -> Tensor:
        x_NCHW = self.resnets[0](x_NCHW, signal)
        x_NCHW = self.motion_modules[0](self.attentions[0](x_NCHW, signal), signal.layout)
        return self.resnets[1](x_NCHW, signal)


class UpStage(nn.Module):
    """Residual blocks that take the encoder's skips; the last transformer is the tapped one (Sec. 3.2)."""

    def __init__(
        self, spec: LayerSpec, channels: tuple[list[int], int], attention: bool, last: bool, coupler: Coupler
    ) -> None:
        super().__init__()
        inputs, out = channels
        self.resnets = nn.ModuleList(ResBlock(spec, width, out) for width in inputs)
        self.attentions = _transformers(spec, out, len(inputs), attention)
        self.motion_modules = _motion(spec, out, len(inputs))
        self.coupling = coupler(out, spec.heads)
        self.upsamplers = nn.ModuleList([] if last else [Upsample2D(out, use_conv=True)])

    def forward(self, x_NCHW: Tensor, skips: list[Tensor], signal: Signal) -> Tensor:
        """Consumes its skips from the end of ``skips``."""
        last = len(self.resnets) - 1
        for i, resnet in enumerate(self.resnets):
            x_NCHW = resnet(cat([x_NCHW, skips.pop()], dim=1), signal)
            for attention in self.attentions[i : i + 1]:
                x_NCHW = attention(x_NCHW, signal, tapped=i == last)
            x_NCHW = self.motion_modules[i](x_NCHW, signal.layout)
        x_NCHW = self.coupling(x_NCHW, signal.layout)
        for upsample in self.upsamplers:
            # The skip decides the size, so that odd latent sizes come back as they were.
            x_NCHW = upsample(x_NCHW, output_size=skips[-1].shape[-2:])
        return x_NCHW


def _transformers(spec: LayerSpec, channels: int, count: int, attention: bool) -> nn.ModuleList:
    return nn.ModuleList(SpatialTransformer(spec, channels) for _ in range(count if attention else 0))


def _motion(spec: LayerSpec, channels: int, count: int, *, middle: bool = False) -> nn.ModuleList:
    modules = (spec.temporal.motion(channels, spec.heads, spec.groups, middle=middle) for _ in range(count))
    return nn.ModuleList(modules)
