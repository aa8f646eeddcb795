"""How the pictures of clips become latent streams, and back: the part of a codec that knows of video and depth.

M modalities are the pictures of a clip in the order of `idol_model.types`; S streams are what the U-Net denoises.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Coder(Protocol):
    """What `PerModality` and `Joint` stand on: pictures in [-1, 1] to latents and back, [N, C, H, W]."""

    def encode(self, x_NCHW: Tensor) -> Tensor: ...

    def decode(self, z_NCHW: Tensor) -> Tensor: ...


class PerModality:
    """One stream a modality (Sec. 3.1): S streams hold the first S of the modalities."""

    def encode_clips(self: Coder, x_MBLCHW: Tensor, streams: int) -> Tensor:
        """Pictures of clips [M, B, L, 3, H, W] to latent streams [S, B, L, c, h, w]."""
        x_SBLCHW = x_MBLCHW[:streams]
        return self.encode(x_SBLCHW.flatten(0, 2)).unflatten(0, x_SBLCHW.shape[:3])

    def decode_clips(self: Coder, z_SBLCHW: Tensor) -> Tensor:
        """Latent streams to as many modalities' pictures."""
        return self.decode(z_SBLCHW.flatten(0, 2)).unflatten(0, z_SBLCHW.shape[:3])

    def encode_picture(self: Coder, x_BCHW: Tensor) -> Tensor:
        """Pictures that are no clip's, [B, 3, H, W], to latents: backgrounds, drawn poses."""
        return self.encode(x_BCHW)

    @staticmethod
    def examples(video_HW3: NDArray[np.uint8], depth_HW3: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """What this codec learns from one frame and its coloured depth: pictures like any other."""
        return [video_HW3, depth_HW3]


class Joint:
    """One stream that holds both modalities, as LDM3D's autoencoder does: their channels side by side."""

    def encode_clips(self: Coder, x_MBLCHW: Tensor, streams: int) -> Tensor:
        """Pictures of clips [2, B, L, 3, H, W] to one latent stream [1, B, L, c, h, w]."""
        if streams != 1:
            raise ValueError(f"unet.streams: {streams}; a joint codec has video and depth in one stream, set it to 1")
        video, depth = x_MBLCHW.flatten(1, 2)
        return self.encode(torch.cat([video, depth], dim=1)).unflatten(0, (1, *x_MBLCHW.shape[1:3]))

    def decode_clips(self: Coder, z_SBLCHW: Tensor) -> Tensor:
        """One latent stream to the pictures of both modalities."""
        both_NCHW = self.decode(z_SBLCHW.flatten(0, 2))
        return torch.stack(both_NCHW.chunk(2, dim=1)).unflatten(1, z_SBLCHW.shape[1:3])

    def encode_picture(self: Coder, x_BCHW: Tensor) -> Tensor:
        """Backgrounds or drawn poses [B, 3, H, W] to latents; they have no depth, mid grey stands for it."""
        return self.encode(torch.cat([x_BCHW, torch.zeros_like(x_BCHW)], dim=1))

    @staticmethod
    def examples(video_HW3: NDArray[np.uint8], depth_HW3: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """What this codec learns from one frame and its coloured depth: the pair, as six channels."""
        return [np.concatenate([video_HW3, depth_HW3], axis=-1)]
