"""tr (S1 S2)^(1/2) from triangular factors of two covariances of full rank, many times faster than singular values.

With S = R^T R the wanted trace is the sum of the singular values of P = R1 R2^T. The eigenvalues of P P^T are their
squares, for half of the work and without the slowest kernel; but a square has half of the digits. How many are left is
measured each time: log det P is known exactly from the diagonals of R1 and R2, and errors show in it first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class RootTrace:
    """The trace, and how far it may be off; infinite ``doubt`` where nothing can be said."""

    value: float
    doubt: float


def by_eigenvalues(a: NDArray[np.float64], b: NDArray[np.float64]) -> RootTrace:
    """Of upper triangular ``a`` and ``b`` [D, D].

    An error d of every eigenvalue e moves log det by d |1 / e| (errors of random signs) and the sum of roots by
    d / 2 sum e^(-1/2) at most; the first is observed, so the second is known.
    """
    product = _triangular_product(a, b)
    values = np.linalg.eigvalsh(product @ product.T)
    diagonals = np.abs(np.concatenate([np.diag(a), np.diag(b)]))
    if values[0] <= 0 or diagonals.min() == 0:
        return RootTrace(value=float("nan"), doubt=float("inf"))
    observed = abs(float(np.log(values).sum() - 2 * np.log(diagonals).sum()))
    roots = np.sqrt(values)
    error = observed / float(np.linalg.norm(1 / values))
    return RootTrace(value=float(roots.sum()), doubt=error / 2 * float((1 / roots).sum()))


def by_singular_values(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Of any factors [R1, D] and [R2, D]."""
    return float(np.linalg.svd(a @ b.T, compute_uv=False).sum())


def _triangular_product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """a b^T without the products with zeros."""
    from scipy.linalg import get_blas_funcs

    (multiply,) = get_blas_funcs(("trmm",), (a, b))
    return np.asarray(multiply(1.0, a.T, b.T, lower=1, trans_a=1), dtype=np.float64)
