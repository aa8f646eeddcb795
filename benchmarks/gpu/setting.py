"""What one invocation is told: where it runs, where it writes, until when."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """``out`` gets what is taken home, ``work`` all that lies about meanwhile. ``until`` is seconds of `time.time`."""

    out: Path
    work: Path
    device: str
    until: float
    rehearse: bool = False
    """Toy sizes: every line runs, no figure means anything."""
    recipes: tuple[str, ...] = ()
    """Of part *correct*; none named are all."""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.time()

    @property
    def on_gpu(self) -> bool:
        """Whether figures are those of a GPU."""
        return self.device.startswith("cuda")

    def arguments(self) -> list[str]:
        """The same for a process started from here."""
        given = ["--out", str(self.out), "--work", str(self.work), "--device", self.device, "--until", repr(self.until)]
        given += ["--recipes", ",".join(self.recipes)] if self.recipes else []
        return [*given, "--rehearse"] if self.rehearse else given
