"""In which order a source's items come: a pure function of seed, source and how many came before.

Nothing is remembered, so a run that starts again at step k sees what it would have seen. Every item comes once in an
epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from idol_model.data import DataShortage

SHARDS_TOGETHER = 8
"""Shards whose pictures are shuffled among each other: far apart enough for chance, near enough for a slow disk."""
_CLIPS, _SHARDS, _PICTURES = 0, 7, 8
"""Words that keep the random streams apart."""


@dataclass(frozen=True, slots=True)
class Key:
    """What an order depends on besides the data: the recipe's seed and the number of the source."""

    seed: int
    source: int = 0

    def rng(self, stream: int, *numbers: int) -> np.random.Generator:
        """The generator of one stream."""
        # Trailing zeros do not change a seed sequence: the first source is drawn as if it were alone.
        return np.random.default_rng([self.seed, stream, *numbers, self.source])


class Order(Protocol):
    """Where the ``nth`` sample of a source lies, and how many windows an item has."""

    @property
    def items(self) -> int:
        """Items that are drawn from."""
        ...

    @property
    def left_out(self) -> int:
        """Items that are too short."""
        ...

    def at(self, nth: int) -> int:
        """The item of the ``nth`` sample, counted from 0 over all epochs."""
        ...

    def any(self, rng: np.random.Generator) -> int:
        """Some item, each with equal chance."""
        ...

    def starts(self, item: int) -> int:
        """How many windows the item has."""
        ...


class ClipOrder:
    """Clips in random order, each once in an epoch, whatever its length.

    Raises:
        DataShortage: no clip has the frames of a window.
    """

    def __init__(self, lengths: Sequence[int], frames: int, key: Key) -> None:
        self._lengths, self._frames, self._key = np.asarray(lengths), frames, key
        self._usable = np.flatnonzero(self._lengths >= frames)
        self.items = len(self._usable)
        self.left_out = len(self._lengths) - self.items
        if self.items == 0:
            raise DataShortage(
                f"no training clip has the {frames} frames of a window (longest: {max(lengths, default=0)}); "
                "prepare longer clips, or train with fewer frames"
            )
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def at(self, nth: int) -> int:
        """As `Order.at`."""
        epoch, place = divmod(nth, self.items)
        return int(self._epoch(epoch)[place])

    def any(self, rng: np.random.Generator) -> int:
        """As `Order.any`."""
        return int(self._usable[rng.integers(self.items)])

    def starts(self, item: int) -> int:
        """As `Order.starts`."""
        return int(self._lengths[item]) - self._frames + 1

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return self._key.rng(_CLIPS, epoch).permutation(self._usable)


class ShardOrder:
    """Pictures of shards: the shards in random order, and the pictures of `SHARDS_TOGETHER` neighbours shuffled.

    Memory is that of the shards' list and of one such block, however many pictures there are.
    """

    left_out = 0

    def __init__(self, sizes: Sequence[int], key: Key) -> None:
        self._sizes, self._key = np.asarray(sizes, dtype=np.int64), key
        self._first = np.concatenate([[0], np.cumsum(self._sizes)])
        self.items = int(self._first[-1])
        self._epoch = lru_cache(maxsize=2)(self._blocks)
        self._block = lru_cache(maxsize=4)(self._shuffled)

    def at(self, nth: int) -> int:
        """As `Order.at`."""
        epoch, place = divmod(nth, self.items)
        _, ends = self._epoch(epoch)
        block = int(np.searchsorted(ends, place, side="right"))
        begin = int(ends[block - 1]) if block else 0
        return int(self._block(epoch, block)[place - begin])

    def any(self, rng: np.random.Generator) -> int:
        """As `Order.any`."""
        return int(rng.integers(self.items))

    def starts(self, item: int) -> int:
        """As `Order.starts`: a picture is one frame."""
        del item
        return 1

    def _blocks(self, epoch: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        """The shards of each block, and how many pictures there are up to its end."""
        shards = self._key.rng(_SHARDS, epoch).permutation(len(self._sizes))
        blocks = [shards[i : i + SHARDS_TOGETHER] for i in range(0, len(shards), SHARDS_TOGETHER)]
        return blocks, np.cumsum([int(self._sizes[block].sum()) for block in blocks])

    def _shuffled(self, epoch: int, block: int) -> NDArray[np.int64]:
        shards = self._epoch(epoch)[0][block]
        pictures = np.concatenate([np.arange(self._first[shard], self._first[shard + 1]) for shard in shards])
        return self._key.rng(_PICTURES, epoch, block).permutation(pictures)
