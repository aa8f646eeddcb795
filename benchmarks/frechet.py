"""Frechet distance: this project's form against the matrix root of SciPy, on the same features. Times and agreement.

OPENBLAS_NUM_THREADS=1 python benchmarks/frechet.py [--big]

``root`` is the root's trace alone, from statistics that both sides have ready (ours keeps triangular factors, theirs
covariances); ``all`` begins with features. Processor time; ours and theirs take turns, and the medians of three turns
are shown, with the least and largest ratio of a turn.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import scipy.linalg

from idol_eval.frechet import Gaussian, frechet_between

CASES = [(120, 400), (1000, 400), (120, 2048), (930, 2048)]
BIG = [(2500, 2048), (5000, 2048)]
TURNS = 3


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


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds of one turn, and how far apart the two distances are."""

    ours: float
    ours_all: float
    theirs: float
    theirs_all: float
    apart: float


def turn(a: np.ndarray, b: np.ndarray) -> Turn:
    """Both ways once."""
    sides, gathering = timed(lambda: [Gaussian.of_features(x) for x in (a, b)])
    ours, root = timed(lambda: frechet_between(*sides))
    (s1, s2), moments = timed(lambda: [np.cov(x.T) for x in (a, b)])
    found, matrix_root = timed(lambda: scipy.linalg.sqrtm(s1 @ s2).real)
    theirs = float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(found))
    return Turn(root, gathering + root, matrix_root, moments + matrix_root, abs(ours - theirs) / ours)


def main() -> None:
    print(
        f"{'n':>6} {'D':>6} {'ours: root':>11} {'all':>7} {'sqrtm: root':>12} {'all':>7} {'times: root':>12} {'all':>7}"
    )
    for rows, dimensions in CASES + (BIG if "--big" in sys.argv else []):
        a, b = features(rows, dimensions)
        turns = [turn(a, b) for _ in range(TURNS)]
        ours, all_ours, theirs, all_theirs, apart = (
            median(getattr(one, name) for one in turns) for name in Turn.__slots__
        )
        ratios = [one.theirs / one.ours for one in turns]
        print(
            f"{rows:6} {dimensions:6} {ours:11.3f} {all_ours:7.2f} {theirs:12.3f} {all_theirs:7.2f} "
            f"{theirs / ours:12.1f} {all_theirs / all_ours:7.1f}   "
            f"root {min(ratios):.1f} to {max(ratios):.1f}, apart by {apart:.1e}"
        )


if __name__ == "__main__":
    main()
