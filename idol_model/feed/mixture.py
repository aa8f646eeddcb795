"""Which source a sample comes from: several sources by their weights, as a pure function of seed and sample number."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 1000
"""Samples in which the shares hold exactly."""
_STREAM = 6


class Mixture:
    """Shares of several sources. In every `BLOCK` samples each source has its exact share, in random order.

    So it is known without counting how many samples of a source came before any one, and an epoch of each source is
    whole. A single source has them all, in their order.

    Raises:
        ValueError: a weight is not a positive number, or so small that its share is under one sample in `BLOCK`.
    """

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        for weight in weights:
            if not (math.isfinite(weight) and weight > 0):
                raise ValueError(f"--data: weight {weight} is none; give a number above 0, or leave the source out")
        self.counts = _apportioned(weights)
        for weight, count in zip(weights, self.counts, strict=True):
            if count == 0:
                raise ValueError(
                    f"--data: weight {weight} beside {sum(weights):g} in all is less than one sample in {BLOCK}; "
                    "raise it, or leave the source out"
                )
        self._seed = seed
        self._block = lru_cache(maxsize=4)(self._drawn)

    def place(self, number: int) -> tuple[int, int]:
        """Source of sample ``number``, and how many samples of that source came before it."""
        block, at = divmod(number, BLOCK)
        sources, earlier = self._block(block)
        source = int(sources[at])
        return source, block * self.counts[source] + int(earlier[at])

    def _drawn(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The sources of a block, and for each sample how many of the same are before it in the block."""
        sources = np.repeat(np.arange(len(self.counts)), self.counts)
        sources = np.random.default_rng([self._seed, _STREAM, block]).permutation(sources)
        earlier = np.empty(BLOCK, dtype=np.int64)
        for source, count in enumerate(self.counts):
            earlier[sources == source] = np.arange(count)
        return sources, earlier


def _apportioned(weights: Sequence[float]) -> tuple[int, ...]:
    """`BLOCK` samples by weight, whole numbers: what is left over goes to the largest remainders."""
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * BLOCK
    counts = np.floor(exact).astype(int)
    for source in np.argsort(counts - exact, kind="stable")[: BLOCK - counts.sum()]:
        counts[source] += 1
    return tuple(int(count) for count in counts)
