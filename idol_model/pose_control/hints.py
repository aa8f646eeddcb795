"""What a pose network reads of the rendered pose: its pixels, as in DisCo's code, or its latent, as Sec. 3.1 writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from diffusers.models.controlnets.controlnet import ControlNetConditioningEmbedding
from torch import Tensor, nn

HintKind = Literal["pixels", "latent"]


class PictureEncoder(Protocol):
    """The side of a codec that is needed here."""

    def encode_picture(self, x_BCHW: Tensor) -> Tensor:
        """Pictures in [-1, 1] to scaled latents."""
        ...


def as_pixels(pose_BLCHW: Tensor, codec: PictureEncoder) -> Tensor:
    """The pose in [0, 1], unchanged."""
    del codec
    return pose_BLCHW


class ReadsPixels:
    """For pose networks that read the rendered pose as it is."""

    read = staticmethod(as_pixels)


@torch.no_grad()
def as_latent(pose_BLCHW: Tensor, codec: PictureEncoder) -> Tensor:
    """E(p) of Sec. 3.1: the pose pictures [B, L, 3, H, W] in [0, 1] as scaled latents [B, L, c, h, w]."""
    return codec.encode_picture(2 * pose_BLCHW.flatten(0, 1) - 1).unflatten(0, pose_BLCHW.shape[:2])


class PixelHint(ControlNetConditioningEmbedding):
    """The published ControlNets' stack, eight times smaller on the way."""

    def __init__(self, channels: int, width: int, hint_widths: tuple[int, ...]) -> None:
        del channels
        super().__init__(width, block_out_channels=hint_widths)


class LatentHint(nn.Conv2d):
    """One convolution of the latent, as DisCo has for its background; zero at initialisation."""

    def __init__(self, channels: int, width: int, hint_widths: tuple[int, ...]) -> None:
        del hint_widths
        super().__init__(channels, width, 3, padding=1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(torch.as_tensor(self.bias))


@dataclass(frozen=True, slots=True)
class Hint:
    """What is read, and the layer that takes it to the network's first features."""

    read: Callable[[Tensor, PictureEncoder], Tensor]
    layer: Callable[[int, int, tuple[int, ...]], nn.Module]


HINTS: dict[HintKind, Hint] = {
    "pixels": Hint(as_pixels, PixelHint),
    "latent": Hint(as_latent, LatentHint),
}
