"""Who does the work of a run: this process, several on this machine, or a Ray cluster. All make the same dataset.

>>> prepare(source, out, options, engine=engines.create("processes", workers=4))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args

from idol_prep.prep_options import Tally
from idol_prep.schema import DataError

EngineName = Literal["local", "processes", "ray"]


class Item(Protocol):
    """What is handed to a worker as a whole: a video, or a group of pictures."""

    @property
    def id(self) -> str: ...


Heard = Callable[[Tally], None]
"""Told what was done since the last word."""
Told = Callable[[Any, int, Tally], None]
"""Which item, how many were done before, and what was done since the last word."""


class Worker(Protocol):
    """Does items one after another; the last may still be in the making behind."""

    def take(self, item: Any, heard: Heard) -> None: ...

    def settle(self, heard: Heard) -> None:
        """Wait for what is in the making, and count it."""
        ...

    def close(self) -> None: ...


class Job(Protocol):
    """What every worker of a run needs to know; travels to other processes and machines."""

    @property
    def device(self) -> str: ...

    def hire(self) -> Worker:
        """A worker, made where it is to work."""
        ...

    def give_up(self, item: Any, reason: str) -> Tally:
        """Reject an item whose workers died."""
        ...


class Engine(Protocol):
    """Takes items through a job."""

    def run(self, items: Sequence[Item], job: Job, told: Told) -> None:
        """Every item, in any order. What concerns one item is told; what concerns the whole run is raised."""
        ...


def create(name: EngineName = "local", *, workers: int = 1) -> Engine:
    """An engine by name. Raises `DataError` for an unknown one, or fewer than one worker."""
    if workers < 1:
        raise DataError(f"{workers} workers do nothing; ask for at least 1")
    match name:
        case "local":
            if workers > 1:
                raise DataError(f"the local engine has one worker, not {workers}; use --engine processes or ray")
            from idol_prep.engines.local import Local

            return Local()
        case "processes":
            from idol_prep.engines.processes import ProcessCrew
            from idol_prep.engines.supervisor import Supervised

            return Supervised(lambda job: ProcessCrew(job, workers))
        case "ray":
            from idol_prep.engines.ray_cluster import RayCrew
            from idol_prep.engines.supervisor import Supervised

            return Supervised(lambda job: RayCrew(job, workers))
    raise DataError(f"unknown engine {name!r}; choose one of {', '.join(get_args(EngineName))}")
