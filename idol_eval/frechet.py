"""The Frechet distance between two Gaussians: the number behind FID, FVD and FID-FVD.

FD = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2). With any factors R1, R2 of the covariances (S = R^T R) the last
trace is the sum of the singular values of R1 R2^T. No root of a near-singular product is taken, so nothing turns
complex, and covariances of any rank are exact. Covariances themselves are never formed: squares lose digits.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from idol_eval import root

_CANCELLED = 1e-6
"""Share of the traces below which their difference has lost digits, and is computed as a residual instead."""
_LARGE = 256
"""Numbers a feature from which the faster way to the root is tried."""
_EXACT = 1e-12
"""What that way may be off by, relative to the distance; else singular values decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaussian:
    """Mean [D] and covariance ``factor.T @ factor`` of ``count`` features.

    ``factor`` is [R, D], R at most D, and upper triangular where R is D (`triangular`).
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    count: int

    @classmethod
    def of_features(cls, features: ArrayLike) -> "Gaussian":
        """The moments of ``features`` [n, D], unbiased covariance.

        Raises:
            ValueError: not two axes, fewer than two rows, or values that are not finite.
        """
        x = checked(features)
        mean = x.mean(axis=0)
        return cls.of_deviations(mean, triangular(x - mean), len(x))

    @classmethod
    def of_deviations(cls, mean: NDArray[np.float64], rows: NDArray[np.float64], count: int) -> "Gaussian":
        """From `triangular` rows whose outer products add up to those of all ``count`` deviations from ``mean``."""
        return cls(mean=mean, factor=rows / np.sqrt(count - 1), count=count)

    def biased(self) -> "Gaussian":
        """The same with the covariance divided by n instead of n - 1, as StyleGAN-V's and cd-fvd's code does."""
        return replace(self, factor=self.factor * np.sqrt((self.count - 1) / self.count))


def frechet_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Frechet distance between two sets of features, each [n, D], computed in float64 with unbiased covariances.

    The sets may differ in n; n may be smaller than D. It depends on n: compare only distances of equal counts.

    Raises:
        ValueError: fewer than two rows, feature sizes that differ, or values that are not finite.
    """
    return frechet_between(Gaussian.of_features(features_a), Gaussian.of_features(features_b))


def frechet_between(a: Gaussian, b: Gaussian) -> float:
    """Frechet distance between two Gaussians of the same D. Raises ValueError where D differs."""
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {len(a.mean)} and {len(b.mean)} numbers: compare features of one extractor")
    traces = float(np.sum(a.factor**2) + np.sum(b.factor**2))
    spread = _spread(a.factor, b.factor, traces)
    if spread < _CANCELLED * traces:
        spread = _residual(a.factor, b.factor)
    return float(np.sum((a.mean - b.mean) ** 2)) + spread


def triangular(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """D rows at most [R, D] with the same sum of outer products as ``rows`` [n, D]: as they are where n is below D."""
    return np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) >= rows.shape[1] else rows


def checked(features: ArrayLike) -> NDArray[np.float64]:
    """``features`` as float64 [n, D], n at least 2. Raises ValueError otherwise."""
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"features must be an array [n, D], got shape {x.shape}")
    if len(x) < 2:
        raise ValueError(f"{len(x)} feature row: a covariance needs at least 2; score more clips")
    if not np.isfinite(x).all():
        row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise ValueError(f"features hold NaN or infinity, first in row {row}: check that clip and the extractor")
    return x


def _spread(a: NDArray[np.float64], b: NDArray[np.float64], traces: float) -> float:
    """tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), the faster way where that is sure to be exact."""
    if len(a) == len(b) == a.shape[1] >= _LARGE:
        found = root.by_eigenvalues(a, b)
        spread = traces - 2 * found.value
        if 2 * found.doubt <= _EXACT * spread:
            return spread
    return traces - 2 * root.by_singular_values(a, b)


def _residual(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """min over orthogonal Q of |Q a - b|^2, which is tr S1 + tr S2 - 2 tr (S1 S2)^(1/2) without the subtraction.

    Never negative, and 0 to rounding squared for equal covariances.
    """
    rows = max(len(a), len(b))
    a, b = (np.pad(x, ((0, rows - len(x)), (0, 0))) for x in (a, b))
    left, _, right = np.linalg.svd(b @ a.T)
    return float(np.sum((left @ (right @ a) - b) ** 2))
