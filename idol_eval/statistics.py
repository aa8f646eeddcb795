"""Features into moments as they come: float64, constant memory, mergeable over shards and machines in any order."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from idol_eval.frechet import Gaussian


class Statistics:
    """Count, mean and centred second moment of feature rows [n, D].

    Up to D rows the rows themselves are kept (less memory than a covariance, and exact at low rank); beyond that they
    are folded into moments and merged pairwise (Chan), which stays exact where sums of squares would cancel.

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
            rows = np.concatenate(self._rows) if self._rows else np.empty((0, self.dimensions))
            return Gaussian.of_features(rows)
        whole = _merged(self._moments, _Moments.of(np.concatenate(self._rows))) if self._rows else self._moments
        return Gaussian.of_covariance(whole.mean, whole.second / (whole.count - 1), whole.count)

    def _fold(self) -> None:
        self._moments = _merged(self._moments, _Moments.of(np.concatenate(self._rows)))
        self._rows, self._kept = [], 0


class _Moments:
    """Count, mean [D] and sum of outer products of deviations [D, D]."""

    def __init__(self, count: int, mean: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        self.count, self.mean, self.second = count, mean, second

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> "_Moments":
        mean = rows.mean(axis=0)
        deviations = rows - mean
        return cls(len(rows), mean, deviations.T @ deviations)


def _merged(a: _Moments | None, b: _Moments) -> _Moments:
    if a is None:
        return b
    count = a.count + b.count
    step = b.mean - a.mean
    mean = a.mean + step * (b.count / count)
    second = a.second + b.second + np.outer(step, step) * (a.count * b.count / count)
    return _Moments(count, mean, second)
