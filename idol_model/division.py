"""How the samples of a step are divided: over the processes, then into pieces that fit into memory.

Every process makes equally many samples, so that the mean over processes of their mean gradients is the gradient of the
whole step.
"""

from dataclasses import dataclass

from idol_model.recipe import MemoryConfig


@dataclass(frozen=True, slots=True)
class Division:
    """Process ``rank`` of ``processes``; no piece has more samples than ``memory`` allows its stage at once."""

    rank: int = 0
    processes: int = 1
    memory: MemoryConfig = MemoryConfig()  # noqa: RUF009 - immutable

    def pieces(self, samples: int, stage: str) -> list[range]:
        """Positions in the step of each piece that this process makes, one after another.

        Raises:
            ValueError: the samples of a step cannot be shared out evenly; the message names stage and fix.
        """
        if samples % self.processes:
            raise ValueError(
                f"stage {stage}: batch_size={samples} cannot be shared out evenly over {self.processes} processes; "
                f"set stages.N.batch_size to a multiple of {self.processes}, or start fewer processes"
            )
        own = samples // self.processes
        most = self.memory.windows_at_once(stage)
        size = own if most is None else min(most, own)
        begin, end = self.rank * own, (self.rank + 1) * own
        return [range(start, min(start + size, end)) for start in range(begin, end, size)]
