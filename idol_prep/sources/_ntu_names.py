"""Names of NTU RGB+D samples, and a deterministic choice of some for training and testing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from idol_prep.schema import DataError, Split

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
SINGLE_PERSON = tuple(range(1, 50))
"""Actions A001 to A049 of the first half have one person; A050 to A060 and A106 to A120 have two."""


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """``S001C002P003R002A013``: setup (place), camera, person, replication, action."""

    setup: int
    camera: int
    person: int
    replication: int
    action: int

    @staticmethod
    def parse(text: str) -> Sample | None:
        """From a file's name; None where it names no sample."""
        found = _NAME.search(text)
        return Sample(*map(int, found.groups())) if found else None

    def __str__(self) -> str:
        return f"S{self.setup:03}C{self.camera:03}P{self.person:03}R{self.replication:03}A{self.action:03}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """How many samples of which actions; people and places of the test set occur in no training clip."""

    train: int = 588
    test: int = 72
    actions: tuple[int, ...] = SINGLE_PERSON
    seed: int = 0
    held_out: float = 0.2
    """Part of the people, and of the places, that is kept for the test set."""

    def choose(self, samples: Sequence[Sample]) -> dict[Sample, Split]:
        """The chosen samples. Depends on which samples there are and on the seed, not on their order.

        Raises `DataError` where there are too few.
        """
        wanted = [sample for sample in samples if sample.action in self.actions]
        people = self._held_out({sample.person for sample in wanted}, "person")
        places = self._held_out({sample.setup for sample in wanted}, "setup")
        tests = [s for s in wanted if s.person in people and s.setup in places]
        trains = [s for s in wanted if s.person not in people and s.setup not in places]
        for name, found, count in (("train", trains, self.train), ("test", tests, self.test)):
            if len(found) < count:
                raise DataError(
                    f"only {len(found)} of {count} samples can be chosen for {name} with people and places apart; "
                    "add archives, or choose fewer with --train and --test"
                )
        chosen = dict.fromkeys(self._first(trains, self.train), "train")
        chosen |= dict.fromkeys(self._first(tests, self.test), "test")
        return cast("dict[Sample, Split]", chosen)

    def _held_out(self, numbers: set[int], what: str) -> set[int]:
        count = max(1, round(len(numbers) * self.held_out))
        return set(sorted(numbers, key=lambda number: self._drawn(f"{what} {number}"))[:count])

    def _first(self, samples: list[Sample], count: int) -> list[Sample]:
        return sorted(samples, key=lambda sample: self._drawn(str(sample)))[:count]

    def _drawn(self, text: str) -> str:
        """A random number that depends on nothing but seed and text."""
        return hashlib.sha256(f"{self.seed} {text}".encode()).hexdigest()
