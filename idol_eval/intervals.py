"""How sure a number is: bootstrap over videos, and what a Frechet distance would be with endless samples.

Snippets of one video overlap and are no independent draws, so whole videos are drawn, the same on both sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from idol_eval.frechet import Gaussian, frechet_between, frechet_distance, triangular

Interval: TypeAlias = tuple[float, float]
LEVEL = 0.95
_SIZES = 6
_DRAWS = 8


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


def bootstrap_mean(values: Sequence[float], draws: int, seed: int = 0) -> Interval:
    """`bootstrap` of a mean over videos."""
    x = np.asarray(values, dtype=np.float64)
    return bootstrap(float(x.mean()), lambda chosen: float(x[chosen].mean()), len(x), draws, seed)


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
