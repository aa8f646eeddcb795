"""One call under torch's profiler: which kernels take the time, and how much of it no kernel runs."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.profiler import ProfilerActivity

_TOP = 15


def profile(call: Callable[[], Any], device: str) -> dict[str, Any]:
    """Kernels by their time on a GPU, operations on a CPU; ``gaps`` is the share of the wall time without any."""
    on_gpu = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with torch.profiler.profile(activities=activities) as found:
        call()
        if on_gpu:
            torch.cuda.synchronize()
    wanted = torch.autograd.DeviceType.CUDA if on_gpu else torch.autograd.DeviceType.CPU
    events = [event for event in (found.events() or ()) if event.device_type == wanted]
    spans = [(event.name, event.time_range.start, event.time_range.end) for event in events]
    return {"of": "kernels" if on_gpu else "operations"} | summarised(spans)


def summarised(spans: Iterable[tuple[str, float, float]]) -> dict[str, Any]:
    """(name, start, end) in microseconds; ``gaps`` from the first start to the last end."""
    spans = sorted(spans, key=lambda span: span[1])
    if not spans:
        return {"wall_ms": 0.0, "launches": 0, "gaps": None, "top": []}
    by_name: dict[str, list[float]] = defaultdict(list)
    busy, reached = 0.0, spans[0][1]
    for name, start, end in spans:
        by_name[name].append(end - start)
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    wall = reached - spans[0][1]
    ranked = sorted(by_name.items(), key=lambda item: -sum(item[1]))[:_TOP]
    return {
        "wall_ms": wall / 1e3,
        "busy_ms": busy / 1e3,
        "launches": len(spans),
        "gaps": 1 - busy / wall if wall else None,
        "top": [{"name": name[:120], "calls": len(times), "ms": sum(times) / 1e3} for name, times in ranked],
    }
