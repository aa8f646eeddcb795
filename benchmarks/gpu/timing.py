"""Seconds and bytes of a call: by device events on a GPU, by the clock on a CPU, after warm-up, medians."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """``seconds`` is the median of ``runs`` calls, ``spread`` the slowest less the fastest."""

    seconds: float
    spread: float
    runs: int
    peak_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """For a figure."""
        return {
            "seconds": self.seconds,
            "spread": self.spread,
            "runs": self.runs,
            "peak_gb": round(self.peak_bytes / 1e9, 3),
        }


def timed(call: Call, device: str, *, runs: int = 3, warmup: int = 1, most: float = 20.0) -> Timed:
    """Time ``runs`` calls, fewer where they would take more than ``most`` seconds together (one at least)."""
    for _ in range(warmup):
        call()
    reset_peak(device)
    found: list[float] = []
    while len(found) < runs and (not found or sum(found) + found[-1] <= most):
        found.append(seconds(call, device))
    return Timed(seconds=median(found), spread=max(found) - min(found), runs=len(found), peak_bytes=peak(device))


def seconds(call: Call, device: str) -> float:
    """One call, with all that it started on the device."""
    if not device.startswith("cuda"):
        began = time.perf_counter()
        call()
        return time.perf_counter() - began
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    first.record()
    call()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / 1e3


def reset_peak(device: str) -> None:
    """Forget the peak so far; a CPU's cannot be."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def peak(device: str) -> int:
    """Bytes: the most that torch held on the GPU, or the process's resident memory at its highest."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def matmul_rate(device: str, dtype: torch.dtype, side: int) -> float:
    """FLOP a second of a product of two random square matrices: what share of a machine is to be measured against."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    took = timed(lambda: a @ b, device, runs=20, warmup=5)
    return 2 * side**3 / took.seconds
