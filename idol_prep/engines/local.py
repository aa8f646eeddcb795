"""The work in this process: one video after another, neighbouring clips overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from idol_prep._videos import Job, VideoMaker
from idol_prep.engines import Told
from idol_prep.prep_options import Tally
from idol_prep.sources import RawClip


class Local:
    """One worker without supervision: if it dies, the run dies, and the same command continues."""

    def run(self, videos: Sequence[RawClip], job: Job, told: Told) -> None:
        """Every video in order."""
        maker = VideoMaker(job)
        try:
            for number, raw in enumerate(videos):
                told(raw, number, Tally())
                maker.take(raw, partial(told, raw, number))
            for last in videos[-1:]:
                maker.settle(partial(told, last, len(videos)))
        finally:
            maker.close()
