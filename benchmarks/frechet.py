"""Frechet distance: this project's form against the matrix root of SciPy, on the same features. Times and agreement.

python benchmarks/frechet.py [--big]
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import scipy.linalg

from idol_eval.frechet import frechet_distance

CASES = [(120, 400), (1000, 400), (120, 2048), (930, 2048)]
BIG = [(5000, 2048)]


def by_matrix_root(a: np.ndarray, b: np.ndarray) -> float:
    """What most packages do."""
    s1, s2 = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root))


def timed(call: Callable[[], float]) -> tuple[float, float]:
    began = time.perf_counter()
    value = call()
    return value, time.perf_counter() - began


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'n':>6} {'D':>6} {'ours s':>9} {'sqrtm s':>9} {'times':>7} {'relative difference':>20}")
    for rows, dimensions in CASES + (BIG if "--big" in sys.argv else []):
        spectrum = np.geomspace(1, 1e-3, dimensions)
        a, b = rng.normal(size=(2, rows, dimensions)) * spectrum
        (ours, fast), (theirs, slow) = timed(lambda: frechet_distance(a, b)), timed(lambda: by_matrix_root(a, b))  # noqa: B023
        print(f"{rows:6} {dimensions:6} {fast:9.3f} {slow:9.3f} {slow / fast:7.1f} {abs(ours - theirs) / ours:20.1e}")


if __name__ == "__main__":
    main()
