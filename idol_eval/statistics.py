"""Features into moments as they come: float64, constant memory, mergeable over shards and machines in any order."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from idol_eval.frechet import Gaussian, triangular


class Statistics:
    """Count, mean and a factor of the centred second moment of feature rows [n, D].

    Up to D rows the rows themselves are kept; beyond that they are folded into a triangular factor, and factors are
    merged pairwise: Chan's update with roots in the place of squares. Exact at any mean, and at any rank.

    >>> a, b = Statistics(400), Statistics(400)
    >>> a.update(first_half), b.update(second_half)
    >>> a.merge(b).gaussian()
    """

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._rows: list[NDArray[np.float64]] = []
        self._kept = 0
        self._moments: _Moments | None = None

    @property
    def count(self) -> int:
        """Rows seen."""
        return self._kept + (self._moments.count if self._moments else 0)

    def update(self, features: ArrayLike) -> "Statistics":
        """Add rows [n, D] (n may be 0).

        Raises:
            ValueError: another D, or values that are not finite.
        """
        x = np.array(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.dimensions:
            raise ValueError(f"features of shape {x.shape}, expected [n, {self.dimensions}]")
        if not np.isfinite(x).all():
            raise ValueError("features hold NaN or infinity: check the extractor's weights and its input")
        if len(x):
            self._rows.append(x)
            self._kept += len(x)
        if self._kept > self.dimensions:
            self._fold()
        return self

    def merge(self, other: "Statistics") -> "Statistics":
        """Add everything that ``other`` has seen; ``other`` stays as it is. Raises ValueError where D differs."""
        for rows in other._rows:
            self.update(rows)
        if other._moments is not None:
            if other.dimensions != self.dimensions:
                raise ValueError(f"cannot merge features of {other.dimensions} and {self.dimensions} numbers")
            self._moments = _merged(self._moments, other._moments)
        return self

    @classmethod
    def merged(cls, parts: Iterable["Statistics"]) -> "Statistics":
        """One of several, which stay as they are. Raises ValueError for none."""
        listed = list(parts)
        if not listed:
            raise ValueError("no statistics to merge")
        whole = cls(listed[0].dimensions)
        for part in listed:
            whole.merge(part)
        return whole

    def gaussian(self) -> Gaussian:
        """Mean and unbiased covariance of all rows. Raises ValueError for fewer than two."""
        if self._moments is None:
            return Gaussian.of_features(self._pending())
        whole = _merged(self._moments, _Moments.of(self._pending())) if self._rows else self._moments
        return Gaussian.of_deviations(whole.mean, whole.factor, whole.count)

    def _pending(self) -> NDArray[np.float64]:
        return np.concatenate(self._rows) if self._rows else np.empty((0, self.dimensions))

    def _fold(self) -> None:
        self._moments = _merged(self._moments, _Moments.of(self._pending()))
        self._rows, self._kept = [], 0


@dataclass(frozen=True, slots=True)
class _Moments:
    """Count, mean [D] and the `triangular` factor of the sum of outer products of deviations."""

    count: int
    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> "_Moments":
        mean = rows.mean(axis=0)
        return cls(len(rows), mean, triangular(rows - mean))


def _merged(a: _Moments | None, b: _Moments) -> _Moments:
    if a is None:
        return b
    count = a.count + b.count
    step = b.mean - a.mean
    between = step * np.sqrt(a.count * b.count / count)
    factor = triangular(np.concatenate([a.factor, b.factor, between[None]]))
    return _Moments(count, a.mean + step * (b.count / count), factor)
