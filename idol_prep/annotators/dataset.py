"""Tracks that a dataset ships itself: masks and depth, passed on as they are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.protocol import AnnotatorInfo, Batch
from idol_prep.schema import DataError, Polarity, Scope

_LICENCE = "the dataset's own"


class DatasetMask:
    """The dataset's mask, as coverage 0 to 255."""

    info: ClassVar = AnnotatorInfo(name="dataset", kind="mask", version="1", licence=_LICENCE, commercial=False)

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Nothing is held."""

    def mask(self, batch: Batch) -> NDArray[np.uint8]:
        """The shipped masks [L,H,W]."""
        return _shipped(batch, "mask")


class DatasetDepth:
    """The dataset's depth, in its own units."""

    info: ClassVar = AnnotatorInfo(name="dataset", kind="depth", version="1", licence=_LICENCE, commercial=False)

    def __init__(self, polarity: Polarity = "distance", scope: Scope = "person") -> None:
        self.polarity: Polarity = polarity
        self.scope: Scope = scope

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Nothing is held."""

    def depth(self, batch: Batch) -> NDArray[np.float32]:
        """The shipped depth [L,H,W], NaN where it says nothing."""
        return _shipped(batch, "depth").astype(np.float32, copy=False)


def _shipped(batch: Batch, track: str) -> NDArray:
    if track not in batch.shipped:
        raise DataError(f"the source ships no {track}; choose another annotator with --{track}")
    return batch.shipped[track]
