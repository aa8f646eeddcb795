"""The first convolution of overlapping snippets, with its work on every frame done once.

y[t] = b + sum over k of W[k] * x[s t + k - p]: what tap k makes of a frame is the same in every snippet that holds the
frame, and only the sum is the snippet's own. At stride 1 that leaves a quarter of I3D's first layer, an eighth of the
3D ResNet's; those layers are a quarter and a third of the networks' work on eight frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pads = tuple[int, int]
"""Zeros before and after."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Padding:
    """Of a snippet's three axes."""

    time: Pads
    height: Pads
    width: Pads

    def apply(self, x: Tensor) -> Tensor:
        """To the last three axes of ``x``."""
        sides = [*self.width, *self.height, *self.time]
        return F.pad(x, sides) if any(sides) else x


@runtime_checkable
class SnippetNetwork(Protocol):
    """A network of snippets [N, 3, T, H, W] that begins with a convolution."""

    @property
    def first(self) -> nn.Conv3d: ...
    def first_padding(self, size: Sequence[int]) -> Padding:
        """Of inputs of ``size`` (T, H, W)."""
        ...

    def after_first(self, x_NCTHW: Tensor) -> Tensor:
        """From the first convolution's output to features [N, D]."""
        ...


class SharedFirstLayer:
    """The first layer of ``network`` for snippets of ``length`` frames of ``side`` x ``side``."""

    def __init__(self, network: SnippetNetwork, length: int, side: int) -> None:
        convolution = network.first
        self._padding = network.first_padding((length, side, side))
        self._stride, self._space = convolution.stride[0], convolution.stride[1:]
        self.channels, self._taps = convolution.out_channels, convolution.kernel_size[0]
        weight_CIKhw, self._length = convolution.weight, length
        self._weight = weight_CIKhw.movedim(2, 0).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        self._bias = 0 if convolution.bias is None else convolution.bias

    @property
    def outputs(self) -> int:
        """Frames of a snippet's output."""
        return (self._length + sum(self._padding.time) - self._taps) // self._stride + 1

    def of_frame(self, x_3HW: Tensor) -> Tensor:
        """What each tap makes of one frame: [K, H', W', C]."""
        x = F.pad(x_3HW[None], [*self._padding.width, *self._padding.height])
        y = F.conv2d(x.contiguous(memory_format=torch.channels_last), self._weight, stride=self._space)
        return y[0].unflatten(0, (self._taps, self.channels)).movedim(1, -1).contiguous()

    def of_snippet(self, frames: Sequence[Tensor]) -> Tensor:
        """The layer's output [C, T', H', W'] from its frames' `of_frame`."""
        y_THWC = frames[0].new_empty(self.outputs, *frames[0].shape[1:])
        for t, y_HWC in enumerate(y_THWC):
            y_HWC[:] = self._bias
            start = t * self._stride - self._padding.time[0]
            for tap in range(max(0, -start), min(self._taps, self._length - start)):
                y_HWC += frames[start + tap][tap]
        return y_THWC.movedim(-1, 0)
