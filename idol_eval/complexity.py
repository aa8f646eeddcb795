"""Cost of a model (Table 7): parameters by part, FLOPs of a denoising step, seconds and peak memory of a run.

The rule for FLOPs: a multiplication and the addition after it count 2. Convolutions, linear layers and attention count;
normalisations, activations and softmax do not. Counting needs no memory when everything lies on the meta device.
"""

import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

RULE = "1 MAC = 2 FLOPs, attention counted"
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """What a model costs; None was not measured. ``parameters`` by part, ``seconds`` for ``frames`` frames."""

    parameters: dict[str, int]
    flops_per_step: int | None = None
    rule: str = RULE
    frames: int = 8
    steps: int | None = None
    seconds: float | None = None
    spread: float | None = None
    """The slowest of the timed calls less the fastest."""
    peak_memory_mb: float | None = None
    memory_kind: str = ""
    device: str = "cpu"
    threads: int = 1
    timed_steps: int | None = None
    """Steps that were run where ``seconds`` is extrapolated to ``steps``; None where all were."""


def table_values(cost: Mapping[str, Any]) -> dict[str, float]:
    """A `Complexity` as a dictionary, in the columns of Tables 4 and 7.

    Seconds and memory only of a whole run: the paper's are, and one step's are another quantity.
    """
    values = {"params_B": sum(cost["parameters"].values()) / 1e9}
    if cost["flops_per_step"] is not None:
        values["flops_T"] = cost["flops_per_step"] / 1e12
    if (cost["steps"] or 1) > 1:
        whole = {"seconds": cost["seconds"], "memory_MB": cost["peak_memory_mb"]}
        values |= {key: value for key, value in whole.items() if value is not None}
    return values


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Time and memory of repeated calls. ``spread`` is the slowest less the fastest."""

    seconds: float
    spread: float
    peak_memory_mb: float
    memory_kind: str


def count_parameters(parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Parameters of each part; one that two parts share counts in the first."""
    seen: set[int] = set()
    counts = {}
    for name, module in parts.items():
        own = [parameter for parameter in module.parameters() if id(parameter) not in seen]
        seen |= {id(parameter) for parameter in own}
        counts[name] = sum(parameter.numel() for parameter in own)
    return counts


@torch.no_grad()
def count_flops(call: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """FLOPs of ``call(*args, **kwargs)`` by `RULE`, on whatever device its tensors are; meta costs nothing.

    Modules must be in evaluation or training mode already; nothing is differentiated.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the fused kernel hides its products from the counter
    try:
        with FlopCounterMode(display=False) as counter, _countable_attention():
            call(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return counter.get_total_flops()


def measure(call: Callable[[], Any], *, repeats: int = 1, warmup: int = 0, device: str = "cpu") -> Measured:
    """Median seconds of ``repeats`` calls after ``warmup`` ones, and the highest memory during them.

    On CUDA the time lies between two events of the device, and the memory is what torch allocated; on the CPU it is the
    process's resident memory, sampled.

    Raises:
        ValueError: fewer than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats: {repeats}; measure at least once")
    for _ in range(warmup):
        call()
    watch = _watch(device)
    seconds = []
    with watch:
        for _ in range(repeats):
            seconds.append(watch.seconds(call))
    return Measured(
        seconds=median(seconds),
        spread=max(seconds) - min(seconds),
        peak_memory_mb=watch.peak / 2**20,
        memory_kind=watch.kind,
    )


def _watch(device: str) -> "_CudaMemory | _ResidentMemory":
    """What watches memory on a device, and waits for it to be done."""
    if device.startswith("cuda"):
        return _CudaMemory(device)
    return _ResidentMemory(torch.mps.synchronize if device == "mps" else _no_wait)


def _no_wait() -> None:
    """A processor has done a call's work when the call returns."""


class _CudaMemory:
    kind = "CUDA, allocated by torch"

    def __init__(self, device: str) -> None:
        self._device, self.peak = device, 0

    def __enter__(self) -> "_CudaMemory":
        self.settle()
        torch.cuda.reset_peak_memory_stats(self._device)
        return self

    def settle(self) -> None:
        torch.cuda.synchronize(self._device)

    def seconds(self, call: Callable[[], Any]) -> float:
        """Between two events on the device's stream; waits for the host lie among them."""
        with torch.cuda.device(torch.device(self._device)):
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.settle()
            began.record()
            call()
            ended.record()
            ended.synchronize()
            return began.elapsed_time(ended) / 1000

    def __exit__(self, *_: object) -> None:
        self.peak = torch.cuda.max_memory_allocated(self._device)


class _ResidentMemory:
    """Samples the resident set in a thread; where the system has no such file, the process's high-water mark."""

    kind = "process, resident"

    def __init__(self, wait: Callable[[], None] = _no_wait) -> None:
        self.peak, self._wait = 0, wait
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_ResidentMemory":
        self._sample()
        self._thread.start()
        return self

    def settle(self) -> None:
        self._wait()
        self._sample()

    def seconds(self, call: Callable[[], Any]) -> float:
        """Until the device is done."""
        began = time.perf_counter()
        call()
        self.settle()
        return time.perf_counter() - began

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._sample()

    def _sample(self) -> None:
        self.peak = max(self.peak, _resident())


def _resident() -> int:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _countable_attention() -> AbstractContextManager[Any]:
    """Older versions of torch have no formula for the CPU's fused attention: take the plain one there."""
    from torch.utils.flop_counter import flop_registry

    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return nullcontext() if fused in flop_registry else sdpa_kernel(SDPBackend.MATH)
