"""How fast people are assembled from OpenPose's maps: ours against controlnet-aux's, on the same maps.

    python benchmarks/openpose_assembly.py [--people 1] [--rounds 5] [--json]

The network is left out on both sides: the reference runs with the maps in its place. One thread each. The figure of
merit is the reference's time over ours, the median of the rounds; goal 20 at 512 x 512.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from openpose_maps import crowd, maps_of, reference

from idol_prep.annotators.openpose import people_in

GOAL = 20
SIZES = ((256, 256), (512, 512), (1080, 604))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(size, chosen.people, chosen.rounds) for size in SIZES]
    if chosen.json:
        print(json.dumps({"people": chosen.people, "goal": GOAL, "sizes": rows}, indent=2))
    else:
        print(f"{'size':>12}{'ours ms':>10}{'theirs ms':>11}{'ratio':>8}{'largest difference, pixels':>29}")
        for row in rows:
            print(
                f"{row['size']:>12}{row['ours']:>10.2f}{row['theirs']:>11.1f}{row['ratio']:>8.1f}{row['apart']:>29.2f}"
            )
    at_512 = next(row for row in rows if row["size"] == "512x512")
    return 0 if at_512["ratio"] >= GOAL and at_512["apart"] <= 1 else 1


def measure(size: tuple[int, int], people: int, rounds: int) -> dict:
    """Milliseconds a frame of both, and how far their joints are apart at most."""
    heat, fields = maps_of(crowd(people, size, 0), size)
    ours, theirs = people_in(heat, fields, size), reference(heat, fields, size)
    apart = max(float(np.abs(a[0] - b[0]).max()) for a, b in zip(ours, theirs, strict=True))
    times = [
        (
            _milliseconds(lambda: people_in(heat, fields, size), 5),
            _milliseconds(lambda: reference(heat, fields, size), 1),
        )
        for _ in range(rounds)
    ]
    mine, others = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    return {"size": f"{size[0]}x{size[1]}", "ours": mine, "theirs": others, "ratio": ratio, "apart": apart}


def _milliseconds(work: Callable[[], object], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        work()
    return (perf_counter() - start) * 1000 / times


if __name__ == "__main__":
    sys.exit(main())
