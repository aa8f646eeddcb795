"""Intervals, kernel distances and the limit of endless samples: closed forms and peers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from idol_eval.frechet import frechet_distance
from idol_eval.intervals import _weighted, bootstrap_frechet, extrapolate, mean_interval, mean_intervals
from idol_eval.kernel import kernel_distance, polynomial_mmd2


def test_weights_are_repeats() -> None:
    rng = np.random.default_rng(0)
    videos = [rng.normal(size=(rows, 5)) for rows in (4, 3, 6)]
    times = np.array([2, 1, 3])
    repeated = np.concatenate([np.repeat(video, count, axis=0) for video, count in zip(videos, times, strict=True)])
    found = _weighted(videos, times)
    assert found.count == len(repeated)
    assert_allclose(found.mean, repeated.mean(axis=0), rtol=1e-12)
    assert_allclose(found.factor.T @ found.factor, np.cov(repeated.T), rtol=1e-10)


def test_the_interval_of_a_mean_is_the_known_one() -> None:
    """Student's t where there is no skewness, 1.96 standard errors where there are many videos."""
    mirrored = [1.0, 2.0, 4.0, 6.0, 7.0]  # quantile of 4 degrees of freedom, 0.975: 2.776445
    half = 2.776445 * np.std(mirrored, ddof=1) / np.sqrt(5)
    assert_allclose(mean_interval(mirrored), [4 - half, 4 + half], rtol=1e-6)
    values = np.random.default_rng(1).normal(5, 2, 4000)
    half = 1.96 * values.std() / np.sqrt(4000)
    assert_allclose(mean_interval(values), [values.mean() - half, values.mean() + half], atol=0.003)
    assert mean_interval([3.0, 3.0, 3.0]) == (3.0, 3.0)
    assert_allclose(mean_interval([0.0, 1.0]), [0.5 - 12.7062 / 2, 0.5 + 12.7062 / 2], rtol=1e-5)
    with pytest.raises(ValueError, match="1 video: an interval over videos needs 2"):
        mean_interval([1.0])


def test_the_interval_of_a_skewed_mean_leans_to_the_tail() -> None:
    """Mirrored scores have the mirrored interval, other units scale it, and the mean always lies inside."""
    skewed = np.random.default_rng(2).lognormal(size=(500, 6))
    low, high = mean_intervals(skewed)
    mean = skewed.mean(-1)
    assert np.all((low < mean) & (mean < high))
    longer_above = high - mean > mean - low
    deviations = skewed - mean[:, None]
    assert np.all(longer_above == ((deviations**3).sum(-1) > 0))
    assert_allclose(mean_intervals(3 - 2 * skewed), (3 - 2 * high, 3 - 2 * low), rtol=1e-9)


@pytest.mark.parametrize("videos", [8, 10, 30])
@pytest.mark.parametrize(("scores", "least"), [("normal", 0.92), ("lognormal", 0.88)])
def test_nominal_95_percent_of_a_mean_cover(scores: str, least: float, videos: int) -> None:
    """Percentiles of bootstrap draws cover 86 % and 75 % at 8 videos; `benchmarks/intervals.py` has the whole table."""
    rng = np.random.default_rng(3)
    drawn = getattr(rng, scores)(size=(20_000, videos))
    true = 0.0 if scores == "normal" else np.exp(0.5)
    low, high = mean_intervals(drawn)
    covered = np.mean((low <= true) & (true <= high))
    assert least + 0.01 <= covered <= 0.97  # one in a hundred: five standard errors of the simulation


def test_the_interval_of_a_distance_covers_another_draw() -> None:
    """Sets of videos drawn anew give distances that mostly lie inside; more videos make it narrower."""
    rng = np.random.default_rng(2)

    def draw(videos: int) -> tuple[list, list]:
        centres = rng.normal(size=(videos, 1, 4))
        true = [centre + 0.3 * rng.normal(size=(20, 4)) for centre in centres]
        return [video + 0.5 + 0.2 * rng.normal(size=video.shape) for video in true], true

    def value(sides: tuple[list, list]) -> float:
        return frechet_distance(*(np.concatenate(side) for side in sides))

    few, many = draw(15), draw(120)
    intervals = [bootstrap_frechet(sides, value(sides), 100) for sides in (few, many)]
    widths = [high - low for low, high in intervals]
    assert widths[1] < 0.7 * widths[0]
    low, high = intervals[0]
    assert sum(low <= value(draw(15)) <= high for _ in range(20)) >= 14
    assert bootstrap_frechet(few, value(few), 100) == intervals[0]  # seeded


def test_extrapolation_takes_the_bias_away() -> None:
    """True distance 1.25 by construction; 250 rows alone say several times that."""
    rng = np.random.default_rng(3)
    scale = np.geomspace(1, 0.1, 100)
    a = rng.normal(size=(250, 100)) * scale
    b = rng.normal(size=(250, 100)) * scale + np.sqrt(1.25 / 100)
    plain, found = frechet_distance(a, b), extrapolate(a, b)
    assert abs(found.limit - 1.25) < 0.5 * abs(plain - 1.25)
    assert found.slope > 0
    assert found.sizes[0] == 125
    assert found.sizes[-1] == 250
    assert found == extrapolate(a, b)
    with pytest.raises(ValueError, match="needs 8 at least"):
        extrapolate(a[:5], b)


def test_kernel_distance_by_hand() -> None:
    """One dimension, two rows a side: k(x, y) = (xy + 1)^3."""
    a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [0.0]])
    within, across = (1 + 1), (1 + 1 + 27 + 1)  # off the diagonal both ways; all pairs
    assert polynomial_mmd2(a, b) == pytest.approx(within / 2 + (1 + 1) / 2 - 2 * across / 4)
    assert polynomial_mmd2(a, a + 0) < 0 or polynomial_mmd2(a, a + 0) == pytest.approx(-0.5 * 7)


def test_kernel_distance_equals_torch_fidelitys() -> None:
    """Same draws for the same seed; theirs in the features' own precision."""
    metric = pytest.importorskip("torch_fidelity.metric_kid")
    import torch

    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(90, 16)), rng.normal(0.2, 1, size=(80, 16))
    options = {"kid_subsets": 20, "kid_subset_size": 50, "rng_seed": 7, "verbose": False}
    theirs = metric.kid_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), **options)
    ours = kernel_distance(a, b, subset=50, subsets=20, seed=7)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.spread == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)
    whole = kernel_distance(a, b[:90])
    assert (whole.subset, whole.subsets) == (80, 100)
    assert kernel_distance(a[:80], b).subsets == 1
    with pytest.raises(ValueError, match="one extractor"):
        kernel_distance(a, b[:, :3])
