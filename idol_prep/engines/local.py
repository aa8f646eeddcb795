"""The work in this process: one item after another, neighbouring ones overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from idol_prep.engines import Item, Job, Told
from idol_prep.prep_options import Tally


class Local:
    """One worker without supervision: if it dies, the run dies, and the same command continues."""

    def run(self, items: Sequence[Item], job: Job, told: Told) -> None:
        """Every item in order."""
        worker = job.hire()
        try:
            for number, item in enumerate(items):
                told(item, number, Tally())
                worker.take(item, partial(told, item, number))
            for last in items[-1:]:
                worker.settle(partial(told, last, len(items)))
        finally:
            worker.close()
