"""Any number of frames from a model that knows windows of L: one plan for both streams, constant memory.

Windows are made one after another. The first has L new frames; each later one repeats the last ``overlap`` frames, tied
to the latents they already have (`idol_model.sampling.denoise`), and adds L - overlap new ones. The last window reaches
back as far as it needs to be full, so every window has L true poses; only a video shorter than L repeats its last pose,
and what that adds is cut. All frames share their noise by number, and exactly L frames are one plain window.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

MakeWindow = Callable[[range, Tensor, Tensor | None], Tensor]
"""(frame numbers, poses [L, C, H, W], known latents [S, 1, K, c, h, w] or None) -> latents [S, 1, L, c, h, w]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OverlapPlan:
    """How a video is cut into windows."""

    frames: int
    """L, the frames of a window."""
    overlap: int
    """Frames that a window shares with the one before."""

    def __post_init__(self) -> None:
        if self.frames < 1 or not 0 <= self.overlap < self.frames:
            raise ValueError(f"overlap: {self.overlap} must lie in 0 to {self.frames - 1} (a window has {self.frames})")

    def windows(self, frames: int) -> int:
        """How many windows a video of ``frames`` frames takes."""
        stride = self.frames - self.overlap
        return 1 + max(0, -(-(frames - self.frames) // stride))


def generate(poses: Iterable[Tensor], plan: OverlapPlan, make: MakeWindow) -> Iterator[Tensor]:
    """Yield the latents of new frames, [S, 1, n, c, h, w], window by window; as many in all as there are poses.

    ``poses`` are pictures [C, H, W] and are read as they are needed. Held at any time: the poses and latents of one
    window and those it was made from.

    Raises:
        ValueError: there are no poses.
    """
    source = iter(poses)
    recent = list(islice(source, plan.frames))
    if not recent:
        raise ValueError("poses: none given; at least one frame is needed")
    given = len(recent)
    recent += recent[-1:] * (plan.frames - given)
    z_SBLCHW = make(range(plan.frames), torch.stack(recent), None)
    yield z_SBLCHW[:, :, :given]

    done = given
    while new := list(islice(source, plan.frames - plan.overlap)):
        kept = plan.frames - len(new)
        recent = recent[plan.frames - kept :] + new
        numbers = range(done - kept, done + len(new))
        known = z_SBLCHW[:, :, plan.frames - kept :] if kept else None
        z_SBLCHW = make(numbers, torch.stack(recent), known)
        yield z_SBLCHW[:, :, kept:]
        done += len(new)
