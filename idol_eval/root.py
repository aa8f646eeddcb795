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
    values = _squared_singular_values(a, b)
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


def _squared_singular_values(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a b^T, in rising order; nothing is multiplied with zeros, and of what is symmetric one half is written.

    SciPy's LAPACK in place of NumPy's: it is newer, and it may overwrite what it is given.
    """
    from scipy.linalg import eigvalsh, get_blas_funcs

    multiply, square = get_blas_funcs(("trmm", "syrk"), (a, b))
    product = multiply(1.0, a.T, b.T, lower=1, trans_a=1)
    half = square(1.0, product, lower=1)
    return eigvalsh(half, lower=True, overwrite_a=True, check_finite=False, driver="ev")
