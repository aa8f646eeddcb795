"""The Frechet distance against numbers known in closed form, and the streaming moments against the whole."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose

import idol_eval
from idol_eval import root
from idol_eval.frechet import Gaussian, frechet_between, frechet_distance
from idol_eval.statistics import Statistics


def correlated(rng: np.random.Generator, rows: int, dimensions: int, mean: float = 0.0) -> np.ndarray:
    """Features with a decaying, rotated spectrum."""
    mixing = rng.normal(size=(dimensions, dimensions)) * np.geomspace(1, 0.01, dimensions)
    return rng.normal(size=(rows, dimensions)) @ mixing + mean


def with_moments(rng: np.random.Generator, rows: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Features whose sample mean and unbiased covariance are exactly these."""
    x = rng.normal(size=(rows, len(mean)))
    x -= x.mean(axis=0)
    x = np.linalg.qr(x)[0] * np.sqrt(rows - 1)
    return x @ np.linalg.cholesky(covariance).T + mean


def test_integers() -> None:
    x = [(0, 0), (2, 0), (0, 2), (2, 2)]
    y = [(1, 1), (5, 1), (1, 3), (5, 3)]
    assert idol_eval.frechet_distance(x, y) == pytest.approx(19 / 3, abs=1e-12)


def test_diagonal_covariances() -> None:
    """FD = |dm|^2 + sum (s1 - s2)^2 for commuting covariances."""
    rng = np.random.default_rng(0)
    one, two = rng.uniform(0.1, 3, 6), rng.uniform(0.1, 3, 6)
    means = rng.normal(size=(2, 6))
    a = with_moments(rng, 50, means[0], np.diag(one**2))
    b = with_moments(rng, 80, means[1], np.diag(two**2))
    expected = np.sum((means[0] - means[1]) ** 2) + np.sum((one - two) ** 2)
    assert_allclose(frechet_distance(a, b), expected, rtol=1e-10)


def test_one_dimension() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(2, 3, (40, 1)), rng.normal(-1, 0.5, (7, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert_allclose(frechet_distance(a, b), expected, rtol=1e-10)


def test_general_covariances_agree_with_the_matrix_root() -> None:
    rng = np.random.default_rng(2)
    a, b = correlated(rng, 200, 12), correlated(rng, 300, 12, mean=1.0)
    s1, s2 = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(s1 @ s2)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s1 + s2 - 2 * root.real)
    assert_allclose(frechet_distance(a, b), expected, rtol=1e-9)


def test_translation() -> None:
    """Equal covariances: what is left is the distance of the means."""
    x = correlated(np.random.default_rng(3), 30, 50)
    shift = np.linspace(-1, 2, 50)
    assert_allclose(frechet_distance(x, x + shift), np.sum(shift**2), rtol=1e-10)


@pytest.mark.parametrize("scale", [1.5, 1 + 1e-4, 1e-3])
@pytest.mark.parametrize("shape", [(40, 9), (9, 40), (200, 5)])
def test_scaling_is_exact_at_any_rank(shape: tuple[int, int], scale: float) -> None:
    """cov(kX) = k^2 cov(X): FD = (k - 1)^2 tr cov + (k - 1)^2 |m|^2, though the covariance may be singular."""
    x = correlated(np.random.default_rng(4), *shape)
    expected = (scale - 1) ** 2 * (np.trace(np.atleast_2d(np.cov(x.T))) + np.sum(x.mean(0) ** 2))
    assert_allclose(frechet_distance(x, scale * x), expected, rtol=1e-10)


def test_orthogonal_subspaces() -> None:
    """No common direction: the root vanishes and the traces add up."""
    rng = np.random.default_rng(5)
    a, b = np.zeros((6, 20)), np.zeros((8, 20))
    a[:, :10], b[:, 10:] = rng.normal(size=(6, 10)), rng.normal(size=(8, 10))
    a, b = a - a.mean(0), b - b.mean(0)
    expected = np.trace(np.cov(a.T)) + np.trace(np.cov(b.T))
    assert_allclose(frechet_distance(a, b), expected, rtol=1e-12)


def test_one_side_does_not_vary() -> None:
    rng = np.random.default_rng(6)
    a, b = np.ones((5, 3)), rng.normal(size=(40, 3))
    expected = np.sum((1 - b.mean(0)) ** 2) + np.trace(np.cov(b.T))
    assert_allclose(frechet_distance(a, b), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(16, 400), (300, 20)])
def test_identity_is_zero_and_never_negative(shape: tuple[int, int]) -> None:
    x = correlated(np.random.default_rng(7), *shape, mean=1e3)
    assert 0 <= frechet_distance(x, x) < 1e-20
    assert 0 <= frechet_distance(x, x[::-1]) < 1e-18


def test_symmetry_and_order() -> None:
    rng = np.random.default_rng(8)
    a, b = correlated(rng, 20, 30), correlated(rng, 50, 30)
    there, back = frechet_distance(a, b), frechet_distance(b[rng.permutation(50)], a[rng.permutation(20)])
    assert_allclose(there, back, rtol=1e-10)


def test_grows_with_noise() -> None:
    rng = np.random.default_rng(9)
    x, noise = correlated(rng, 100, 16), rng.normal(size=(100, 16))
    distances = [frechet_distance(x, x + level * noise) for level in (0, 0.1, 0.3, 1.0, 3.0)]
    assert distances == sorted(distances)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), "at least 2"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "4 and 3"),
        (np.zeros(4), np.zeros((5, 4)), r"\[n, D\]"),
        (np.full((3, 2), np.nan), np.zeros((5, 2)), "NaN or infinity, first in row 0"),
        (np.array([[0.0], [np.inf]]), np.zeros((5, 1)), "row 1"),
    ],
)
def test_refusals(a: np.ndarray, b: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frechet_distance(a, b)


@pytest.mark.parametrize("rows", [20, 60, 500])
def test_any_split_in_any_order_equals_the_whole(rows: int) -> None:
    """Below D rows, around it, and far above, at a mean where sums of squares would cancel."""
    rng = np.random.default_rng(10)
    x, other = correlated(rng, rows, 40, mean=1e3), Gaussian.of_features(correlated(rng, 90, 40, mean=1e3))
    whole = Gaussian.of_features(x)
    cuts = np.split(x, [3, 4, rows // 3, rows // 2])
    for order in itertools.islice(itertools.permutations(cuts), 0, 120, 17):
        parts = [Statistics(40).update(part) for part in order]
        merged = Statistics.merged(parts)
        found = merged.gaussian()
        assert (merged.count, found.count) == (rows, rows)
        assert_allclose(found.mean, whole.mean, rtol=1e-12)
        assert_allclose(
            found.factor.T @ found.factor, whole.factor.T @ whole.factor, atol=1e-12 * np.sum(whole.factor**2)
        )
        assert_allclose(frechet_between(found, other), frechet_between(whole, other), rtol=1e-12)


def test_streamed_features_of_low_rank_are_exact() -> None:
    """More rows than numbers, yet half of the directions are empty: squared moments would invent variance there."""
    rng = np.random.default_rng(13)
    x = correlated(rng, 300, 20, mean=1e3) @ rng.normal(size=(20, 40))
    streamed = Statistics(40)
    for part in np.array_split(x, 5):
        streamed.update(part)
    doubled = Statistics(40).update(2 * x)
    expected = np.trace(np.cov(x.T)) + np.sum(x.mean(0) ** 2)
    assert_allclose(frechet_between(streamed.gaussian(), doubled.gaussian()), expected, rtol=1e-12)


SPECTRA = {
    "even": np.ones(300),
    "decaying": np.geomspace(1, 1e-3, 300),
    "steep": np.geomspace(1, 1e-7, 300),
    "two levels": np.r_[np.ones(20), np.full(280, 1e-5)],
}


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_faster_root_is_exact_or_says_so(spectrum: str) -> None:
    """At full rank, rotated: eigenvalues agree with singular values, or their doubt owns up to the difference."""
    rng = np.random.default_rng(14)
    turned = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    a, b = (Gaussian.of_features(rng.normal(size=(n, 300)) * SPECTRA[spectrum] @ turned) for n in (900, 1000))
    found, exact = root.by_eigenvalues(a.factor, b.factor), root.by_singular_values(a.factor, b.factor)
    assert not abs(found.value - exact) > 1e-13 * exact + 100 * found.doubt
    traces = np.sum(a.factor**2) + np.sum(b.factor**2)
    expected = np.sum((a.mean - b.mean) ** 2) + traces - 2 * exact
    assert_allclose(frechet_between(a, b), expected, rtol=1e-11)


@pytest.mark.parametrize("scale", [1.5, 1 + 1e-4])
def test_scaling_is_exact_the_faster_way_too(scale: float) -> None:
    x = correlated(np.random.default_rng(15), 700, 300)
    expected = (scale - 1) ** 2 * (np.trace(np.cov(x.T)) + np.sum(x.mean(0) ** 2))
    assert_allclose(frechet_distance(x, scale * x), expected, rtol=1e-10)


def test_row_by_row_equals_the_whole() -> None:
    x = correlated(np.random.default_rng(11), 50, 8, mean=1e3)
    streamed = Statistics(8)
    for row in x:
        streamed.update(row[None])
    covariance = streamed.gaussian().factor.T @ streamed.gaussian().factor
    assert_allclose(covariance, np.cov(x.T), rtol=1e-10)


def test_statistics_keep_what_they_were_given() -> None:
    """The caller may reuse its buffer."""
    buffer = np.arange(6.0).reshape(3, 2)
    kept = Statistics(2).update(buffer)
    before = kept.gaussian().mean.copy()
    buffer[:] = 0
    assert_allclose(kept.gaussian().mean, before)


def test_statistics_refuse() -> None:
    with pytest.raises(ValueError, match=r"expected \[n, 3\]"):
        Statistics(3).update(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="NaN"):
        Statistics(1).update([[np.nan]])
    with pytest.raises(ValueError, match="at least 2"):
        Statistics(1).update([[1.0]]).gaussian()
    with pytest.raises(ValueError, match="no statistics"):
        Statistics.merged([])


def test_the_bias_of_few_samples_is_there() -> None:
    """Two samples of one distribution are not at distance 0: numbers of different n are not to be compared."""
    rng = np.random.default_rng(12)
    few = frechet_distance(rng.normal(size=(20, 30)), rng.normal(size=(20, 30)))
    many = frechet_distance(rng.normal(size=(2000, 30)), rng.normal(size=(2000, 30)))
    assert few > 20 * many
