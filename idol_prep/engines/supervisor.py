"""Handing videos to workers that may die: a video whose worker died is tried once more, then rejected.

A `Crew` is a set of workers, wherever they live; it says what happened, and this loop decides what follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from idol_prep._prepare_clip import source_words
from idol_prep._videos import Job
from idol_prep.engines import Told
from idol_prep.prep_options import Tally
from idol_prep.schema import DatasetWriter, Reject
from idol_prep.sources import RawClip

ATTEMPTS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What a worker did: ``tally`` since its last word; then whether its video is ``done``, or it ``died``, and how."""

    worker: int
    tally: Tally = field(default_factory=Tally)
    done: bool = False
    died: str = ""


class Crew(Protocol):
    """Workers by number, each idle or with one video."""

    @property
    def workers(self) -> int: ...

    def give(self, worker: int, video: RawClip) -> None:
        """Hand an idle worker a video; one that died is started anew first."""
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

    def run(self, videos: Sequence[RawClip], job: Job, told: Told) -> None:
        """Every video by whoever is free, the first ones first."""
        writer = DatasetWriter(job.out, recipe=job.recipe, info=job.info)
        shift = _Shift(videos, self._hire(job), writer, told)
        try:
            shift.all()
        finally:
            shift.crew.close()


class _Shift:
    """One run: who works on what, and how often each video was tried."""

    def __init__(self, videos: Sequence[RawClip], crew: Crew, writer: DatasetWriter, told: Told) -> None:
        self.crew, self._writer, self._told = crew, writer, told
        self._left = deque((video, 1) for video in videos)
        self._at: dict[int, tuple[RawClip, int]] = {}
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
        video, attempt = self._at[event.worker]
        tally = event.tally
        if event.done or event.died:
            del self._at[event.worker]
            self._done += 1
        if event.died:
            self._done -= 1
            tally = self._died(video, attempt, event.died)
        self._told(video, self._done, tally)

    def _died(self, video: RawClip, attempt: int, how: str) -> Tally:
        if attempt < ATTEMPTS:
            self._left.append((video, attempt + 1))
            return Tally()
        self._done += 1
        reason = f"worker died: {ATTEMPTS} times at this video ({how}); is it damaged, or the memory full?"
        self._writer.reject(Reject(id=video.id, source=source_words(video), stage="worker", reason=reason))
        return Tally(rejected={video.id: reason})
