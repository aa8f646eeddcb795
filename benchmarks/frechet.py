"""Frechet distance: this project's form against the matrix root of SciPy, on the same features. Times and agreement.

OPENBLAS_NUM_THREADS=1 python benchmarks/frechet.py [--big]

``root`` is the root's trace alone, from statistics that both sides have ready (ours keeps triangular factors, theirs
covariances); ``all`` begins with features. Processor time.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from idol_eval.frechet import Gaussian, frechet_between

CASES = [(120, 400), (1000, 400), (120, 2048), (930, 2048)]
BIG = [(2500, 2048), (5000, 2048)]


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    value = call()
    return value, time.process_time() - began


def features(rows: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with a decaying spectrum in directions of no preference."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    a, b = rng.normal(size=(2, rows, dimensions)) * np.geomspace(1, 1e-3, dimensions) @ turned
    return a, b


def main() -> None:
    print(
        f"{'n':>6} {'D':>6} {'ours: root':>11} {'all':>7} {'sqrtm: root':>12} {'all':>7} {'times: root':>12} {'all':>7}"
    )
    for rows, dimensions in CASES + (BIG if "--big" in sys.argv else []):
        a, b = features(rows, dimensions)
        sides, gathering = timed(lambda: [Gaussian.of_features(x) for x in (a, b)])  # noqa: B023
        ours, root = timed(lambda: frechet_between(*sides))  # noqa: B023
        (s1, s2), moments = timed(lambda: [np.cov(x.T) for x in (a, b)])  # noqa: B023
        found, matrix_root = timed(lambda: scipy.linalg.sqrtm(s1 @ s2).real)  # noqa: B023
        theirs = float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(found))
        fast, slow = gathering + root, moments + matrix_root
        print(
            f"{rows:6} {dimensions:6} {root:11.3f} {fast:7.2f} {matrix_root:12.3f} {slow:7.2f} "
            f"{matrix_root / root:12.1f} {slow / fast:7.1f}   apart by {abs(ours - theirs) / ours:.1e}"
        )


if __name__ == "__main__":
    main()
