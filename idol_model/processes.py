"""The processes of one run as a group: they wait for each other by name, and agree on values.

Nothing of a step passes here (gradients are the engine's); these are the points between steps where one process may be
long at work while the others wait.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from torch import distributed

TIMEOUT = 7200.0
"""Seconds that processes wait for each other by default: longer than an uneven share of a latent cache takes."""
_ROLL_CALL = 10.0
"""Seconds in which processes that gave up on a collective report, so that those that do not are known."""

Value = TypeVar("Value")


class ProcessMissing(RuntimeError):
    """Processes of the run did not come to where the others wait; the message names their ranks."""


class Alone:
    """One process: there is nobody to wait for. `Together` does the same for several; its methods are collective."""

    rank = 0
    count = 1

    @property
    def main(self) -> bool:
        """Whether this process does what is done once."""
        return self.rank == 0

    def wait(self, what: str) -> None:
        """Until all processes are here; ``what`` says where.

        Raises:
            ProcessMissing: some did not come in time.
        """
        del what

    def from_main(self, value: Value) -> Value:
        """What the main process has for ``value``."""
        return value

    def all_of(self, values: list[Value]) -> list[Value]:
        """The values of every process, by rank."""
        return values

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        """Name the missing processes where a collective inside waits in vain."""
        del what
        yield


class Together(Alone):
    """Several processes, each of which waits ``timeout`` seconds for the others.

    They speak through gloo, whatever the gradients go through: it works without a GPU and knows who is missing.
    """

    def __init__(self, timeout: float) -> None:
        self.rank, self.count, self._timeout = distributed.get_rank(), distributed.get_world_size(), timeout
        self._group: Any = distributed.new_group(backend="gloo", timeout=timedelta(seconds=timeout))

    def wait(self, what: str) -> None:
        self._meet(what, self._timeout)

    def from_main(self, value: Value) -> Value:
        self.wait("an agreement")
        values: list[Any] = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def all_of(self, values: list[Value]) -> list[Value]:
        self.wait("a gathering")
        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, values, group=self._group)
        return [value for one in found for value in one]

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, ProcessMissing) or not _gave_up(error):
                raise
            self._meet(what, min(_ROLL_CALL, self._timeout))
            raise ProcessMissing(f"{what}: processes waited {self._timeout:g} s for each other ({error})") from error

    def _meet(self, what: str, seconds: float) -> None:
        try:
            distributed.monitored_barrier(self._group, timedelta(seconds=seconds), wait_all_ranks=True)
        except RuntimeError as error:
            raise ProcessMissing(
                f"{what}: {self._absent(error)} did not come within {self._timeout:g} s, of {self.count} processes; "
                "look at what it says and at its machine, then run the same command again: it continues "
                "(--timeout changes the time)"
            ) from error

    def _absent(self, error: RuntimeError) -> str:
        """Rank 0 keeps the roll, and knows who is missing; the others only know whether rank 0 is there."""
        found = re.search(r"Ranks? ([\d, ]+) failed to pass", str(error))
        if self.rank or found is None:
            return "rank 0, or another that rank 0 names,"
        return f"rank {found[1].strip(' ,')}"


def _gave_up(error: RuntimeError) -> bool:
    """Whether a collective waited in vain, or lost the connection to a process."""
    text = str(error).lower()
    return any(sign in text for sign in ("timed out", "timeout", "connection closed", "connection reset"))
