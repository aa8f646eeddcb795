"""Shapes that travel between data, model, losses and sampling.

Axis letters (``docs/conventions.md``): S streams, B clips, L frames, C channels, H, W, P = H*W positions,
D features, K heads, T condition tokens, N = S*B*L.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

VIDEO, DEPTH = 0, 1
"""Stream order everywhere: stream 0 is the video, stream 1 its depth (the one-hot label y_v, y_d of Sec. 3.1)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the folded batch N = S*B*L is made up, stream-major: ``n = (s * B + b) * L + l``."""

    streams: int
    clips: int
    frames: int

    @property
    def n(self) -> int:
        """Pictures in the folded batch."""
        return self.streams * self.clips * self.frames


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """One training or evaluation batch, on one device, float32.

    video_BLCHW and depth_BLCHW are pictures in [-1, 1]; the depth is already coloured.
    pose_BLCHW is the rendered pose in [0, 1]. foreground_BCHW is what the foreground encoder takes (removed pixels
    are 0 after normalisation). background_BCHW is in [-1, 1], removed pixels 0 (mid grey), as in DisCo.
    """

    ids: tuple[str, ...]
    video_BLCHW: Tensor
    depth_BLCHW: Tensor
    pose_BLCHW: Tensor
    foreground_BCHW: Tensor
    background_BCHW: Tensor


@dataclass(frozen=True, slots=True)
class LatentBatch:
    """What the diffusion stages train on: `ClipBatch` behind the codec.

    z_SBLCHW and background_BCHW are scaled latents, pose_BLCHW pictures as in `ClipBatch`. foreground [B, ...] is what
    the frozen part of the foreground encoder made of its pictures (`idol_model.foreground`).
    """

    ids: tuple[str, ...]
    z_SBLCHW: Tensor
    background_BCHW: Tensor
    pose_BLCHW: Tensor
    foreground: Tensor


@dataclass(frozen=True, slots=True)
class CachedBatch:
    """A `LatentBatch` as caches keep it: poses_BLHW3 are uint8, a quarter of what has to be copied and sent."""

    ids: tuple[str, ...]
    z_SBLCHW: Tensor
    background_BCHW: Tensor
    poses_BLHW3: Tensor
    foreground: Tensor

    def latents(self) -> LatentBatch:
        """The batch with its poses in [0, 1], on the device where it is."""
        pose_BLCHW = self.poses_BLHW3.movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format) / 255
        return LatentBatch(self.ids, self.z_SBLCHW, self.background_BCHW, pose_BLCHW, self.foreground)
