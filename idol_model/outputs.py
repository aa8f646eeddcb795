"""What generation hands out: a video, or a video and its depth, in pieces that join."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from idol_model.types import DEPTH, VIDEO
from idol_prep import colormap
from idol_prep.schema import Polarity

Colormap = Literal["hot", "gray"]

POLARITY: dict[Colormap, Polarity] = {"hot": "distance", "gray": "inverse"}
"""Which end of the depth is near in the paper's data, by its colormap (Sec. 4): hot is HDNet's distance (0 near), gray
MiDaS's (1 near). Used for checkpoints alone that do not say what their training data was."""


@dataclass(frozen=True, kw_only=True)
class VideoOutput:
    """A video of L frames: uint8 [L, H, W, 3]."""

    video: NDArray[np.uint8]

    @classmethod
    def read(cls, rgb_MLHW3: NDArray[np.uint8], name: Colormap) -> Self:
        """From the decoded pictures of the modalities."""
        del name
        return cls(video=np.ascontiguousarray(rgb_MLHW3[VIDEO]))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """One output of consecutive ones."""
        listed = list(parts)
        one = type(listed[0])
        return one(**{f.name: np.concatenate([getattr(part, f.name) for part in listed]) for f in fields(one)})

    @property
    def tracks(self) -> dict[str, NDArray]:
        """The files' contents by their names in a sample folder (``docs/sample_format.md``)."""
        return {"frames.mkv": self.video, "video.mp4": self.video}

    def pictures(self, frame: int) -> list[NDArray[np.uint8]]:
        """One frame of each modality, to look at."""
        return [self.video[frame]]

    def depth_mse(self, true_LHW: NDArray[np.float32]) -> float | None:
        """Mean squared error of the depth, if there is one."""
        del true_LHW
        return None


@dataclass(frozen=True, kw_only=True)
class IdolOutput(VideoOutput):
    """A video and its depth, L frames each, aligned pixel by pixel.

    video, depth_rgb: uint8 [L, H, W, 3]. depth: float32 [L, H, W] in [0, 1], read back from depth_rgb;
    `IdolPipeline.depth_polarity` says which end is near. confidence: float32 [L, H, W], 1 where depth_rgb lies on the
    colormap, less by the RGB distance from it (in parts of 255), 0 at least.
    """

    depth: NDArray[np.float32]
    depth_rgb: NDArray[np.uint8]
    confidence: NDArray[np.float32]

    @classmethod
    def read(cls, rgb_MLHW3: NDArray[np.uint8], name: Colormap) -> Self:
        depth, residual = colormap.decode(rgb_MLHW3[DEPTH], name)
        return cls(
            video=np.ascontiguousarray(rgb_MLHW3[VIDEO]),
            depth=depth,
            depth_rgb=np.ascontiguousarray(rgb_MLHW3[DEPTH]),
            confidence=np.clip(1 - residual, 0, 1),
        )

    @property
    def tracks(self) -> dict[str, NDArray]:
        codes = np.rint(self.depth * 65535).astype(np.uint16)
        return super().tracks | {"depth.mkv": codes, "depth.mp4": self.depth_rgb}

    def pictures(self, frame: int) -> list[NDArray[np.uint8]]:
        return [self.video[frame], self.depth_rgb[frame]]

    def depth_mse(self, true_LHW: NDArray[np.float32]) -> float | None:
        return float(np.square(self.depth - true_LHW).mean())
