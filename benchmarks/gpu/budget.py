"""How the minutes are shared: four parts have their seconds, *train* has what they leave."""

from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = {"correct": 60.0, "table7": 150.0, "training_memory": 60.0, "metrics": 30.0}
"""Of nine minutes; of fewer, as much less. More minutes all go to *train*."""
PARTS = (*SECONDS, "train")
_OF = 540.0
_FINISH = 15.0
"""Seconds after *train* in which its newest checkpoint becomes a model, should it have been killed."""


@dataclass(frozen=True, slots=True)
class Budget:
    """``began`` and all that follows from it in seconds of `time.time`."""

    began: float
    minutes: float
    stretched: bool = False
    """Whether more minutes are more for every part, as in a rehearsal on slow processors."""

    @property
    def until(self) -> float:
        """When everything is over."""
        return self.began + 60 * self.minutes

    def of(self, part: str, now: float) -> float:
        """Until when a part that begins now may run."""
        if part not in SECONDS:
            return self.until - min(_FINISH, 6 * self.minutes)
        factor = 60 * self.minutes / _OF
        return min(now + SECONDS[part] * (factor if self.stretched else min(1.0, factor)), self.until)

    def drawing_before_training(self, now: float) -> float:
        """Seconds to wait with *train* for its data, where no other part took that time."""
        return max(0.0, min(60.0, 9 * self.minutes) - (now - self.began))


def chosen(text: str) -> Sequence[str]:
    """Part names of ``correct,table7``, in their own order.

    Raises:
        ValueError: one is unknown.
    """
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        raise ValueError(f"--parts {unknown[0]}: unknown; choose from {', '.join(PARTS)}")
    return [name for name in PARTS if name in asked]
