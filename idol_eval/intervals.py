"""How sure a number is: intervals over videos, and what a Frechet distance would be with endless samples.

Snippets of one video overlap and are not independent draws, so the unit is the video. Means have a closed form;
Frechet distances are bootstrapped by whole videos, the same on both sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from idol_eval.frechet import Gaussian, frechet_between, frechet_distance, triangular

Interval: TypeAlias = tuple[float, float]
LEVEL = 0.95
_SIZES = 6
_DRAWS = 8

COVERS_MEANS = (
    "Intervals of means: Student's t over videos with the skewness taken out (Hall 1992), for the mean over endless "
    "videos of this kind."
)
COVERS_FRECHET = (
    "Intervals of Frechet distances: bootstrap over videos, for what as many other videos would give on average. "
    "They do not cover the distance for endless videos: few videos raise every distance, and the interval lies about "
    "the raised value. Compare rows of equal counts, or see --extrapolate."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """``limit`` is the distance for 1/n = 0; ``sizes`` and ``distances`` are what the line was laid through."""

    limit: float
    slope: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def bootstrap(
    value: float, statistic: Callable[[NDArray[np.intp]], float], videos: int, draws: int, seed: int = 0
) -> Interval:
    """95 % interval about ``value``; ``statistic`` takes the numbers of the drawn videos, with repeats.

    Repeats by themselves raise a Frechet distance, so the draws' spread is laid about ``value`` (their own mean is
    taken away). The ends are reported as they come, below 0 too.

    Raises:
        ValueError: fewer than two videos.
    """
    if videos < 2:
        raise ValueError(f"{videos} video: an interval over videos needs 2 at least; score more clips")
    rng = np.random.default_rng(seed)
    found = np.array([statistic(rng.integers(videos, size=videos)) for _ in range(draws)])
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - found.mean() + value
    return float(low), float(high)


def bootstrap_frechet(
    sides: tuple[Sequence[NDArray], Sequence[NDArray]], value: float, draws: int, seed: int = 0
) -> Interval:
    """`bootstrap` of the Frechet distance; each side holds one array [n, D] a video, in the same order."""

    def statistic(chosen: NDArray[np.intp]) -> float:
        numbers, times = np.unique(chosen, return_counts=True)
        a, b = (_weighted([side[number] for number in numbers], times) for side in sides)
        return frechet_between(a, b)

    return bootstrap(value, statistic, len(sides[0]), draws, seed)


def mean_interval(values: ArrayLike) -> Interval:
    """95 % interval of a mean over videos [n], of unknown spread and skewness (`mean_intervals`).

    Raises:
        ValueError: fewer than two videos.
    """
    low, high = mean_intervals(np.asarray(values, dtype=np.float64))
    return float(low), float(high)


def mean_intervals(values: NDArray) -> tuple[NDArray, NDArray]:
    """Lower and upper ends [...] of `mean_interval` for many sets of videos [..., n] at once.

    Student's t alone misses too often on skewed scores: the standard error moves with the mean. Hall's monotone cubic
    takes the skewness out of t, so t's quantiles are led back through its inverse ("On the removal of skewness by
    transformation", 1992, section 2). Nothing is drawn: shards and repetitions give the same ends. The ends may leave
    a score's range. Two videos have no skewness; Student's t is left.

    Raises:
        ValueError: fewer than two videos.
    """
    videos = values.shape[-1]
    if videos < 2:
        raise ValueError(f"{videos} video: an interval over videos needs 2 at least; score more clips")
    mean = values.mean(axis=-1)
    error = values.std(axis=-1, ddof=1) / np.sqrt(videos)
    skewness = _skewness(values)
    quantile = stdtrit(videos - 1, (1 + LEVEL) / 2)
    upper, lower = (_without_skewness(sign * quantile, skewness, videos) for sign in (-1, 1))
    return mean - lower * error, mean - upper * error


def extrapolate(features_a: NDArray, features_b: NDArray, seed: int = 0) -> Extrapolation:
    """The Frechet distance at 1/n = 0: a line through distances of random subsets of n rows of **both** sides.

    Subsets of one side alone leave the other side's bias in. Sizes run evenly in 1/n from half of the rows to all.

    Raises:
        ValueError: fewer than 8 rows on a side.
    """
    most = min(len(features_a), len(features_b))
    if most < 8:
        raise ValueError(f"{most} rows: extrapolation needs 8 at least on each side; score more clips")
    rng = np.random.default_rng(seed)
    sizes = [round(1 / x) for x in np.linspace(2 / most, 1 / most, _SIZES)]
    distances = [float(np.mean([_subset(features_a, features_b, n, rng) for _ in range(_DRAWS)])) for n in sizes]
    slope, limit = np.polyfit(1 / np.array(sizes), distances, 1)
    return Extrapolation(limit=float(limit), slope=float(slope), sizes=tuple(sizes), distances=tuple(distances))


def _skewness(values: NDArray) -> NDArray:
    """Sample skewness [...] of rows [..., n], corrected for n; 0 where all values are equal or there are two."""
    videos = values.shape[-1]
    deviations = values - values.mean(axis=-1, keepdims=True)
    cubes = (values.std(axis=-1, ddof=1)) ** 3
    if videos < 3:
        return np.zeros_like(cubes)
    sums = (deviations**3).sum(axis=-1) * videos / ((videos - 1) * (videos - 2))
    return np.divide(sums, cubes, out=np.zeros_like(cubes), where=cubes > 0)


def _without_skewness(quantile: float, skewness: NDArray, videos: int) -> NDArray:
    """The t for which Hall's cubic t + a t^2 / r + a^2 t^3 / (3 r^2) + a / (2 r), a = skewness / 3, is ``quantile``."""
    root, a = np.sqrt(videos), skewness / 3
    inner = np.cbrt(1 + 3 * a / root * (quantile - a / (2 * root))) - 1
    return np.divide(root * inner, a, out=np.full_like(a, quantile), where=np.abs(a) > 1e-6)


def _subset(a: NDArray, b: NDArray, n: int, rng: np.random.Generator) -> float:
    one, two = (x[rng.choice(len(x), n, replace=False)] for x in (a, b))
    return frechet_distance(one, two)


def _weighted(videos: Sequence[NDArray], times: NDArray[np.intp]) -> Gaussian:
    """Moments of rows that count several times, without repeating them."""
    rows = np.concatenate(videos).astype(np.float64)
    weight = np.repeat(times, [len(video) for video in videos]).astype(np.float64)
    count = int(weight.sum())
    mean = weight @ rows / count
    return Gaussian.of_deviations(mean, triangular(np.sqrt(weight)[:, None] * (rows - mean)), count)
