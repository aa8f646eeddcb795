"""I3D, the network behind FVD: inflated Inception-v1, 400 logits.

Parameter names are those of ``i3d_pretrained_400.pt`` and ``rgb_imagenet.pt``, so either file loads as it is.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idol_eval.features.first_layer import Padding
from idol_eval.features.pointwise import pointwise

Triple = tuple[int, int, int]

_STEM: tuple[tuple[str, int, Triple, Triple], ...] = (
    ("Conv3d_1a_7x7", 64, (7, 7, 7), (2, 2, 2)),
    ("Conv3d_2b_1x1", 64, (1, 1, 1), (1, 1, 1)),
    ("Conv3d_2c_3x3", 192, (3, 3, 3), (1, 1, 1)),
)
_MIXED: tuple[tuple[str, tuple[int, int, int, int, int, int]], ...] = (
    ("Mixed_3b", (64, 96, 128, 16, 32, 32)),
    ("Mixed_3c", (128, 128, 192, 32, 96, 64)),
    ("Mixed_4b", (192, 96, 208, 16, 48, 64)),
    ("Mixed_4c", (160, 112, 224, 24, 64, 64)),
    ("Mixed_4d", (128, 128, 256, 24, 64, 64)),
    ("Mixed_4e", (112, 144, 288, 32, 64, 64)),
    ("Mixed_4f", (256, 160, 320, 32, 128, 128)),
    ("Mixed_5b", (256, 160, 320, 32, 128, 128)),
    ("Mixed_5c", (384, 192, 384, 48, 128, 128)),
)
"""Name and channels: 1x1; 1x1 and 3x3; 1x1 and 3x3; 1x1 after pooling."""
_POOL_BEFORE: dict[str, tuple[Triple, Triple]] = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and stride of the max pooling in front of a stage."""


class I3D(nn.Module):
    """Clips [N, 3, T, 224, 224] in [-1, 1] to logits [N, 400], averaged over time, before any softmax.

    ``pool`` is the last average pooling. The published 2 x 7 x 7 needs nine frames or more; 1 x 7 x 7 takes eight (and
    equals it at sixteen).
    """

    def __init__(self, pool: Triple = (1, 7, 7), classes: int = 400) -> None:
        super().__init__()
        self.pool = pool
        channels = 3
        for name, width, kernel, stride in _STEM:
            self.add_module(name, Unit(channels, width, kernel, stride))
            channels = width
        for name, widths in _MIXED:
            self.add_module(name, Mixed(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = Unit(channels, classes, (1, 1, 1), activation=False)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """Raises ValueError for a clip too short for the pooling."""
        return self.after_first(self._begin.convolved(x_NCTHW))

    @property
    def _begin(self) -> "Unit":
        return cast("Unit", self.get_submodule(_STEM[0][0]))

    @property
    def first(self) -> nn.Conv3d:
        """`idol_eval.features.first_layer.SnippetNetwork`."""
        return self._begin.conv3d

    def first_padding(self, size: Sequence[int]) -> Padding:
        """SAME."""
        return same_padding(size, self._begin.kernel, self._begin.stride)

    def after_first(self, x_NCTHW: Tensor) -> Tensor:
        """From the first convolution's output to logits."""
        x_NCTHW = self._begin.activated(x_NCTHW)
        for name, _ in (*((stem[0], None) for stem in _STEM[1:]), *_MIXED):
            if name in _POOL_BEFORE:
                x_NCTHW = max_pool_same(x_NCTHW, *_POOL_BEFORE[name])
            x_NCTHW = self.get_submodule(name)(x_NCTHW)
        if x_NCTHW.shape[2] < self.pool[0]:
            raise ValueError(f"I3D with {self.pool} pooling needs 9 frames or more; use the 1x7x7 variant")
        pooled = F.avg_pool3d(x_NCTHW.float(), self.pool, stride=1)  # no such kernel for bf16 on a CPU
        x_NCTHW = self.logits(pooled.to(x_NCTHW.dtype))
        return x_NCTHW.mean(dim=(2, 3, 4))


class Unit(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch normalisation, ReLU; or with a bias and neither."""

    def __init__(
        self, inner: int, outer: int, kernel: Triple, stride: Triple = (1, 1, 1), activation: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv3d = nn.Conv3d(inner, outer, kernel, stride, bias=not activation)
        self.bn = nn.BatchNorm3d(outer, eps=0.001, momentum=0.01) if activation else None

    def forward(self, x: Tensor) -> Tensor:
        return self.activated(self.convolved(x))

    def convolved(self, x: Tensor) -> Tensor:
        """The convolution alone."""
        if self.kernel == (1, 1, 1) and self.stride == (1, 1, 1):
            return pointwise(x, self.conv3d)
        x, padding = padded_same(x, self.kernel, self.stride)
        return F.conv3d(x, self.conv3d.weight, self.conv3d.bias, self.stride, padding)

    def activated(self, x: Tensor) -> Tensor:
        """What follows it."""
        return x if self.bn is None else F.relu(self.bn(x), inplace=True)


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.b0 = Unit(channels, widths[0], (1, 1, 1))
        self.b1a = Unit(channels, widths[1], (1, 1, 1))
        self.b1b = Unit(widths[1], widths[2], (3, 3, 3))
        self.b2a = Unit(channels, widths[3], (1, 1, 1))
        self.b2b = Unit(widths[3], widths[4], (3, 3, 3))
        self.b3b = Unit(channels, widths[5], (1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = max_pool_same(x, (3, 3, 3), (1, 1, 1))
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)]
        return torch.cat(branches, dim=1)


def max_pool_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Max pooling with SAME padding. The zeros it adds change nothing: what comes here is never negative.

    One axis after another, each as elementwise maxima of shifted views: several times faster on a CPU than torch's
    3D pooling, which also keeps indices.
    """
    x = _padded(x, kernel, stride)
    for axis, (width, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        if width > 1 or step > 1:
            x = _slid_maximum(x, axis, width, step)
    return x


def _slid_maximum(x: Tensor, axis: int, width: int, step: int) -> Tensor:
    span = x.shape[axis] - width + 1
    views = [x.narrow(axis, shift, span) for shift in range(width)]
    if step > 1:
        keep = (slice(None),) * axis + (slice(None, None, step),)
        views = [view[keep] for view in views]
    top = views[0] if width == 1 else torch.maximum(views[0], views[1])
    for view in views[2:]:
        top = torch.maximum(top, view)
    return top


def _padded(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    return same_padding(x.shape[2:], kernel, stride).apply(x)


def same_padding(size: Sequence[int], kernel: Triple, stride: Triple) -> Padding:
    """What SAME padding adds to an input of ``size`` (T, H, W); of an odd number of zeros the larger half behind."""
    totals = (max(k - (s if n % s == 0 else n % s), 0) for n, k, s in zip(size, kernel, stride, strict=True))
    time, height, width = ((total // 2, total - total // 2) for total in totals)
    return Padding(time=time, height=height, width=width)


def padded_same(x: Tensor, kernel: Triple, stride: Triple) -> tuple[Tensor, Triple]:
    """``x``, padded where SAME padding is uneven, and the even padding that the operation still has to add."""
    sides = same_padding(x.shape[2:], kernel, stride)
    axes = (sides.time, sides.height, sides.width)
    if all(before == after for before, after in axes):
        return x, (axes[0][0], axes[1][0], axes[2][0])
    return sides.apply(x), (0, 0, 0)
