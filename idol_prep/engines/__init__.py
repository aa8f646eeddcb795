"""Who does the work of a run: this process, several on this machine, or a Ray cluster. All make the same dataset.

>>> prepare(source, out, options, engine=engines.create("processes", workers=4))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, get_args

from idol_prep._videos import Job
from idol_prep.prep_options import Tally
from idol_prep.schema import DataError
from idol_prep.sources import RawClip

EngineName = Literal["local", "processes", "ray"]
Told = Callable[[RawClip, int, Tally], None]
"""Which video, how many were done before, and what was done since the last word."""


class Engine(Protocol):
    """Takes videos through a job."""

    def run(self, videos: Sequence[RawClip], job: Job, told: Told) -> None:
        """Every video, in any order. What concerns one video is told; what concerns the whole run is raised."""
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
