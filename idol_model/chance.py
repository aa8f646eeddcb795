"""Random numbers of a batch, each sample's from a generator of its own.

What falls on a sample depends on its number in the run and on nothing beside it, so that a step comes out the same
whether one process takes it whole, several share it, or it goes through in pieces.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor


class Chance:
    """One generator a sample, on the CPU whatever the device of the batch."""

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        self._generators = list(generators)

    @classmethod
    def of(cls, seed: Sequence[int], numbers: Iterable[int]) -> "Chance":
        """The generators of samples ``numbers`` in the run or stage that ``seed`` stands for."""
        return cls(torch.Generator().manual_seed(word((*seed, number))) for number in numbers)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32 [B, *shape]."""
        return torch.stack([torch.randn(shape, generator=generator) for generator in self._generators])

    def below(self, bound: int) -> Tensor:
        """Integers in [0, bound), int64 [B]."""
        return torch.cat([torch.randint(bound, (1,), generator=generator) for generator in self._generators])


def word(seed: Sequence[int]) -> int:
    """A seed for torch, 63 bits, spread evenly over whatever ``seed`` counts."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))
