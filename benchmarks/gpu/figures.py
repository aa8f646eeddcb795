"""Making a part's figures one after another, so that one that fails leaves the others."""

import gc
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.ledger import Ledger
from benchmarks.gpu.setting import Setting

RESTART = 75
"""Exit status of a process whose GPU context is broken: the part goes on in a fresh one."""
_BROKEN = (
    "illegal",
    "device-side assert",
    "misaligned",
    "unspecified launch failure",
    "ECC",
    "CUBLAS_STATUS_EXECUTION",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """Something to be found out. ``needs`` is the seconds it takes about, below which it is not begun."""

    name: str
    make: Callable[[], dict[str, Any]]
    needs: float = 1.0


class Skip(Exception):
    """A figure that cannot be had here; the message says why."""


def make_all(figures: Iterable[Figure], ledger: Ledger, setting: Setting) -> int:
    """Make what the ledger does not know yet; returns the exit status of the process."""
    for figure in figures:
        if figure.name in ledger.figures:
            continue
        if setting.left < figure.needs:
            ledger.skipped(figure.name, f"{max(0.0, setting.left):.0f} s were left, it takes about {figure.needs:g} s")
            continue
        ledger.begin(figure.name)
        try:
            ledger.done(figure.name, figure.make())
        except Skip as reason:
            ledger.skipped(figure.name, str(reason))
        except Exception as error:
            ledger.failed(figure.name, told(error))
            traceback.print_exc(file=sys.stderr)
            if setting.on_gpu and any(sign in str(error) for sign in _BROKEN):
                return RESTART
        free(setting)
    return 0


def told(error: BaseException) -> str:
    """An error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:500]


def free(setting: Setting) -> None:
    """Give back what the last figure held."""
    gc.collect()
    if setting.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
