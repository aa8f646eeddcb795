"""GroupNorm of the convolutional layers: statistics of each picture, or of all frames of a clip together.

Per picture keeps an inflated image model unchanged, so stage 2 begins where stage 1 ended. Pooled is what DisCo's code
does by handing 5-D tensors to GroupNorm; its frames are coupled even with all temporal layers at zero.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from idol_model.types import Layout

NormKind = Literal["picture", "clip"]


class PictureNorm(nn.GroupNorm):
    """GroupNorm of each picture of the folded batch."""

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        del layout
        return super().forward(x_NCHW)


class ClipNorm(nn.GroupNorm):
    """GroupNorm with statistics over all frames of a clip."""

    def forward(self, x_NCHW: Tensor, layout: Layout) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        n, c, h, w = x_NCHW.shape
        x_CLP = x_NCHW.view(n // layout.frames, layout.frames, c, h * w).transpose(1, 2)
        y_CLP = functional.group_norm(x_CLP, self.num_groups, self.weight, self.bias, self.eps)
        return y_CLP.transpose(1, 2).reshape(n, c, h, w)


Norm = type[PictureNorm] | type[ClipNorm]

NORMS: dict[NormKind, Norm] = {"picture": PictureNorm, "clip": ClipNorm}
