"""Person mask by MediaPipe: the mask that its pose network draws of the person it follows.

On whole bodies outdoors it keeps hands, feet and what stands behind apart better than MediaPipe's selfie network,
which leaves halos in foliage and takes bystanding things along; and it comes with the pose, in the same pass.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators import mediapipe_pose
from idol_prep.annotators.mediapipe_pose import PersonEngine, missing
from idol_prep.annotators.protocol import AnnotatorInfo, Batch

__all__ = ["MediapipeMask", "PersonEngine", "describe", "missing"]


class MediapipeMask:
    """Coverage of the followed person, uint8 [L,H,W], 255 where MediaPipe is sure."""

    def __init__(self, engine: PersonEngine) -> None:
        self._engine = engine
        self.info = describe()

    def reset(self) -> None:
        """Forget the person that was followed."""
        self._engine.reset()

    def close(self) -> None:
        """Let the network go."""
        self._engine.close()

    def mask(self, batch: Batch) -> NDArray[np.uint8]:
        """The person's coverage of each pixel of the batch's frames."""
        return self._engine.run(batch.frames)[1]


def describe() -> AnnotatorInfo:
    """Version and weights, without importing MediaPipe."""
    note = "BlazePose's own segmentation of the followed person"
    return replace(mediapipe_pose.describe(), kind="mask", note=note)
