"""Samples that cannot be read: counted, named in ``RUN/faults.jsonl``, and borne up to the recipe's limit."""

import json
import math
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "faults.jsonl"
_NAMED = 10
"""Faults that the error itself names; the file has all."""


class TooManyFaults(ValueError):
    """More of the data cannot be read than the recipe allows; the message lists what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One item that could not be read, the sample it was wanted for, and the item that took its place."""

    source: str
    item: str
    sample: int
    reason: str
    instead: str

    @property
    def place(self) -> tuple[str, str]:
        """What is at fault: one item counts once, however often it is drawn."""
        return self.source, self.item


class FaultLog:
    """The faults of a run, over all its starts and processes.

    Every process appends whole lines to one file and reads what the others have appended, so that the limit holds for
    all of them together.
    """

    def __init__(self, file: Path, most: int) -> None:
        self._file, self._most = file, most
        self._seen: dict[tuple[str, str], Fault] = {}
        self._read = 0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Note a fault.

        Raises:
            TooManyFaults: with it, there are more than are allowed.
        """
        with self._lock:
            self._catch_up()
            if fault.place not in self._seen:
                self._append(fault)
                self._catch_up()
            if len(self._seen) > self._most:
                raise TooManyFaults(_list(list(self._seen.values()), self._most, self._file))

    def _append(self, fault: Fault) -> None:
        with self._file.open("ab", buffering=0) as stream:  # one write: no process's line is cut by another's
            stream.write(json.dumps(asdict(fault)).encode() + b"\n")

    def _catch_up(self) -> None:
        """Read the lines that are new; one that is not whole yet is left for the next time."""
        if not self._file.exists():
            return
        with self._file.open("rb") as stream:
            stream.seek(self._read)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for fault in (_parsed(line) for line in whole.splitlines()):
            self._seen.setdefault(fault.place, fault)


def read_faults(run: Path) -> list[Fault]:
    """The distinct items that a run could not read, in the order they were met; empty where there were none."""
    if not (run / FILE).exists():
        return []
    lines = (run / FILE).read_bytes().rpartition(b"\n")[0].splitlines()
    return list({fault.place: fault for fault in reversed([_parsed(line) for line in lines])}.values())[::-1]


def most_of(limit: float, items: int) -> int:
    """How many faults ``data.most_faults`` allows among ``items``: a share below 1, a number from 1 on.

    Raises:
        ValueError: the limit is negative or no number.
    """
    if not (math.isfinite(limit) and limit >= 0):
        raise ValueError(f"data.most_faults: {limit} is no limit; give a share below 1, or a number of samples")
    return int(limit) if limit >= 1 else math.floor(limit * items)


def _parsed(line: bytes) -> Fault:
    return Fault(**json.loads(line))


def _list(faults: list[Fault], most: int, file: Path) -> str:
    reasons = list(dict.fromkeys(fault.reason for fault in faults))
    named = "; ".join(reasons[:_NAMED]) + (f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else "")
    return (
        f"{len(faults)} samples cannot be read, {most} are allowed ({named}): mend the data, or raise "
        f"data.most_faults; all are listed in {file}"
    )
