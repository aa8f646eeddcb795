"""Kernel distances: KID of frames, KVD of snippets. Unbiased, so a value may be a little below 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from idol_eval.frechet import checked


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelDistance:
    """Mean and standard deviation over subsets."""

    mean: float
    spread: float
    subset: int
    subsets: int


def polynomial_mmd2(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Unbiased squared maximum mean discrepancy of rows [n, D] with the kernel (x.y / D + 1)^3 (Binkowski 2018)."""
    n, m = len(a), len(b)
    kaa, kbb, kab = (_kernel(x, y) for x, y in ((a, a), (b, b), (a, b)))
    within_a = (kaa.sum() - np.trace(kaa)) / (n * (n - 1))
    within_b = (kbb.sum() - np.trace(kbb)) / (m * (m - 1))
    return float(within_a + within_b - 2 * kab.mean())


def kernel_distance(
    features_a: ArrayLike, features_b: ArrayLike, *, subset: int = 1000, subsets: int = 100, seed: int = 2020
) -> KernelDistance:
    """`polynomial_mmd2` over random subsets of ``subset`` rows (all rows where a side has fewer), in float64.

    The same draws as torch-fidelity's for the same seed. With fewer rows than ``subset`` on both sides there is but
    one subset and no spread.

    Raises:
        ValueError: as `idol_eval.frechet.checked`; or another D.
    """
    a, b = checked(features_a), checked(features_b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features of {a.shape[1]} and {b.shape[1]} numbers: compare features of one extractor")
    size = min(subset, len(a), len(b))
    if size == len(a) == len(b):
        return KernelDistance(mean=polynomial_mmd2(a, b), spread=0.0, subset=size, subsets=1)
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        one = a[rng.choice(len(a), size, replace=False)]
        values.append(polynomial_mmd2(one, b[rng.choice(len(b), size, replace=False)]))
    return KernelDistance(mean=float(np.mean(values)), spread=float(np.std(values)), subset=size, subsets=subsets)


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return (x @ y.T / x.shape[1] + 1) ** 3
