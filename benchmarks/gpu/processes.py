"""A part in a process of its own: restarted after a crash, killed at the end of its time, told of in its ledger."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.ledger import Ledger

_GRACE = 2.0
"""Seconds that a part has to end by itself once its time is over."""
_STARTS = 6
"""Processes of one part: each crash costs the figure that was being made, no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``command`` makes the part's figures into ``ledger`` and leaves those alone that are there."""

    name: str
    command: Sequence[str]
    ledger: Path
    until: float
    again: int = 0
    """How often a figure that its process died of is tried once more: training goes on from its checkpoint."""


def run(part: Part, tell: Callable[[str], None] = lambda text: None) -> None:
    """Run one part to its end, whatever it does."""
    Ledger(part.ledger).forget_unsettled()
    deaths: Counter[str] = Counter()
    for _ in range(_STARTS):
        status = _once(part)
        ledger = Ledger(part.ledger)
        under_way = ledger.running
        if status is None:
            ledger.failed(under_way or "the part", "stopped: its time was over")
        elif status and under_way and deaths[under_way] < part.again:
            ledger.forget(under_way)
            deaths[under_way] += 1
        elif status and under_way:
            ledger.failed(under_way, f"the process died of it ({_death(status)}); see {part.name}.log")
        elif status and status != _RESTART:
            ledger.failed("the part", f"the process ended with {_death(status)}; see {part.name}.log")
        tell(f"{part.name}: {_counted(ledger)}")
        if not status or (not under_way and status != _RESTART) or part.until - time.time() < 1:
            return


_RESTART = 75
"""`benchmarks.gpu.figures.RESTART`; importing it would import torch."""


def _once(part: Part) -> int | None:
    """The exit status of one process; None where it had to be killed."""
    part.ledger.parent.mkdir(parents=True, exist_ok=True)
    with open(part.ledger.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(part.command, stdout=log, stderr=log, start_new_session=True)
        try:
            return process.wait(timeout=max(0.1, part.until + _GRACE - time.time()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            end(process)


def end(process: subprocess.Popen, patience: float = 1.0) -> None:
    """End a process and all that it started: first asked, then killed. It leads a session of its own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _death(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _counted(ledger: Ledger) -> str:
    kinds = [found["status"] for found in ledger.figures.values()]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("done", "failed", "skipped") if kind in kinds)
