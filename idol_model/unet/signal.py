"""What travels beside the features through every layer of a forward pass."""

from dataclasses import dataclass

from torch import Tensor

from idol_model.types import Layout
from idol_model.unet.taps import NO_TAPS, Taps


@dataclass(frozen=True, slots=True)
class Signal:
    """Conditions of one forward pass: time and modality embedding, each clip's tokens, how the batch is folded."""

    embedding_ND: Tensor
    tokens_VTD: Tensor
    layout: Layout
    taps: Taps = NO_TAPS


def fold(x_SBLCHW: Tensor) -> tuple[Tensor, Layout]:
    """Streams, clips and frames into one batch of pictures, stream-major: [S, B, L, ...] -> [N, ...]."""
    streams, clips, frames = x_SBLCHW.shape[:3]
    return x_SBLCHW.flatten(0, 2), Layout(streams, clips, frames)


def unfold(x_NCHW: Tensor, layout: Layout) -> Tensor:
    """The inverse of `fold`: [N, ...] -> [S, B, L, ...]."""
    return x_NCHW.unflatten(0, (layout.streams, layout.clips, layout.frames))


def over_streams(x_B: Tensor, layout: Layout) -> Tensor:
    """One value a clip, [B, ...], for the clips of all streams, [V, ...]."""
    return x_B.repeat(layout.streams, *[1] * (x_B.ndim - 1))


def over_frames(x_V: Tensor, layout: Layout) -> Tensor:
    """One value a clip of a stream, [V, ...], for every picture of the folded batch, [N, ...]."""
    return x_V.unsqueeze(1).expand(-1, layout.frames, *x_V.shape[1:]).flatten(0, 1)
