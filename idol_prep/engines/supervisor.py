"""Handing items to workers that may die: an item whose worker died is tried once more, then rejected.

A `Crew` is a set of workers, wherever they live; it says what happened, and this loop decides what follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from idol_prep.engines import Item, Job, Told
from idol_prep.prep_options import Tally

ATTEMPTS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What a worker did: ``tally`` since its last word; then whether its item is ``done``, or it ``died``, and how."""

    worker: int
    tally: Tally = field(default_factory=Tally)
    done: bool = False
    died: str = ""


class Crew(Protocol):
    """Workers by number, each idle or with one item."""

    @property
    def workers(self) -> int: ...

    def give(self, worker: int, item: Item) -> None:
        """Hand an idle worker an item; one that died is started anew first."""
        ...

    def events(self) -> Sequence[Event]:
        """Wait until something has happened. Raises what concerns the whole run."""
        ...

    def close(self) -> None: ...


def nothing() -> None:
    """What a worker does before it begins, unless there is something to do."""


class Supervised:
    """An engine on top of a crew."""

    def __init__(self, hire: Callable[[Job], Crew]) -> None:
        self._hire = hire

    def run(self, items: Sequence[Item], job: Job, told: Told) -> None:
        """Every item by whoever is free, the first ones first."""
        shift = _Shift(items, self._hire(job), job, told)
        try:
            shift.all()
        finally:
            shift.crew.close()


class _Shift:
    """One run: who works on what, and how often each item was tried."""

    def __init__(self, items: Sequence[Item], crew: Crew, job: Job, told: Told) -> None:
        self.crew, self._job, self._told = crew, job, told
        self._left = deque((item, 1) for item in items)
        self._at: dict[int, tuple[Item, int]] = {}
        self._done = 0

    def all(self) -> None:
        while self._left or self._at:
            for worker in range(self.crew.workers):
                if worker not in self._at and self._left:
                    self._at[worker] = self._left.popleft()
                    self.crew.give(worker, self._at[worker][0])
            for event in self.crew.events():
                self._hear(event)

    def _hear(self, event: Event) -> None:
        item, attempt = self._at[event.worker]
        tally = event.tally
        if event.done or event.died:
            del self._at[event.worker]
            self._done += 1
        if event.died:
            self._done -= 1
            tally = self._died(item, attempt, event.died)
        self._told(item, self._done, tally)

    def _died(self, item: Item, attempt: int, how: str) -> Tally:
        if attempt < ATTEMPTS:
            self._left.append((item, attempt + 1))
            return Tally()
        self._done += 1
        reason = f"worker died: {ATTEMPTS} times at {item.id} ({how}); is it damaged, or the memory full?"
        return self._job.give_up(item, reason)
