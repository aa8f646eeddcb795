"""How often nominal 95 % intervals over videos cover what they are for: of means, and of Frechet distances.

OPENBLAS_NUM_THREADS=1 python benchmarks/intervals.py [--runs 2000] [--frechet-runs 100] [--json]

Means: scores of videos from a known distribution, its mean covered or not; percentiles of 100 bootstrap draws and
Student's t stand beside what `idol bench` prints. Frechet distances: videos of 20 rows about a centre of their own in
24 dimensions, candidate and truth 0.2 a dimension apart; the interval against the mean distance of as many other
videos, and against the distance of endless videos, which few videos overestimate.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from idol_eval.frechet import frechet_distance
from idol_eval.intervals import bootstrap_frechet, mean_intervals

COUNTS = (2, 4, 6, 8, 10, 16, 30, 100)
DRAWS = 100
DIMENSIONS, ROWS, SHIFT, WITHIN, NOISE = 24, 20, 0.2, 0.3, 0.5
Ends = tuple[NDArray, NDArray]


@dataclass(frozen=True, slots=True)
class Scores:
    """A distribution of one video's score: its name, its mean, and draws of a given shape."""

    name: str
    mean: float
    draw: Callable[[np.random.Generator, tuple[int, int]], NDArray]


SCORES = (
    Scores("normal", 0.0, lambda rng, shape: rng.normal(size=shape)),
    Scores("uniform", 0.5, lambda rng, shape: rng.uniform(size=shape)),
    Scores("Student's t, 3", 0.0, lambda rng, shape: rng.standard_t(3, size=shape)),
    Scores("exponential", 1.0, lambda rng, shape: rng.exponential(size=shape)),
    Scores("lognormal", float(np.exp(0.5)), lambda rng, shape: rng.lognormal(size=shape)),
    Scores(
        "1 video in 10 fails", 0.9, lambda rng, shape: (rng.uniform(size=shape) < 0.9) + 0.05 * rng.normal(size=shape)
    ),
)


def percentiles(values: NDArray, rng: np.random.Generator) -> Ends:
    """Of the means of bootstrap draws."""
    runs, videos = values.shape
    chosen = rng.integers(videos, size=(runs, DRAWS, videos))
    means = np.take_along_axis(values[:, None, :], chosen, axis=-1).mean(-1)
    low, high = np.quantile(means, [0.025, 0.975], axis=-1)
    return low, high


def student(values: NDArray) -> Ends:
    """Student's t alone."""
    videos = values.shape[1]
    half = stdtrit(videos - 1, 0.975) * values.std(-1, ddof=1) / np.sqrt(videos)
    return values.mean(-1) - half, values.mean(-1) + half


def coverage(ends: Ends, true: float) -> float:
    low, high = ends
    return float(np.mean((low <= true) & (true <= high)))


@dataclass(frozen=True, slots=True)
class MeanRow:
    """Coverage of three intervals at one count of videos, and the median width of ours over Student's."""

    scores: str
    videos: int
    percentiles: float
    student: float
    ours: float
    width: float


def of_means(scores: Scores, videos: int, runs: int) -> MeanRow:
    """One row of the table of means."""
    rng = np.random.default_rng(videos)
    values = scores.draw(rng, (runs, videos))
    plain, ours = student(values), mean_intervals(values)
    drawn, of_t, of_ours = (coverage(ends, scores.mean) for ends in (percentiles(values, rng), plain, ours))
    width = float(np.median((ours[1] - ours[0]) / (plain[1] - plain[0])))
    return MeanRow(scores.name, videos, drawn, of_t, of_ours, width)


def videos_of(rng: np.random.Generator, count: int) -> tuple[list[NDArray], list[NDArray]]:
    """Candidate's and true features, one array [ROWS, DIMENSIONS] a video."""
    centres = rng.normal(size=(count, 1, DIMENSIONS))
    true = [centre + WITHIN * rng.normal(size=(ROWS, DIMENSIONS)) for centre in centres]
    return [video + SHIFT + NOISE * rng.normal(size=video.shape) for video in true], true


def endless() -> float:
    """The distance of endless videos: both sides are round Gaussians."""
    true, mine = 1 + WITHIN**2, 1 + WITHIN**2 + NOISE**2
    return DIMENSIONS * (SHIFT**2 + (np.sqrt(mine) - np.sqrt(true)) ** 2)


@dataclass(frozen=True, slots=True)
class FrechetRow:
    """Mean distance at one count of videos, and coverage of that mean and of the distance of endless videos."""

    videos: int
    mean_distance: float
    endless_distance: float
    covers_mean: float
    covers_endless: float


def of_frechet(videos: int, runs: int) -> FrechetRow:
    """One row of the table of Frechet distances."""
    rng = np.random.default_rng(videos)
    values, ends = [], []
    for run in range(runs):
        sides = videos_of(rng, videos)
        values.append(frechet_distance(*(np.concatenate(side) for side in sides)))
        ends.append(bootstrap_frechet(sides, values[-1], DRAWS, seed=run))
    mean, found = float(np.mean(values)), np.array(ends).T
    return FrechetRow(
        videos, mean, endless(), coverage((found[0], found[1]), mean), coverage((found[0], found[1]), endless())
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--frechet-runs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    means = [of_means(scores, videos, asked.runs) for scores in SCORES for videos in COUNTS]
    distances = [of_frechet(videos, asked.frechet_runs) for videos in (10, 60)]
    if asked.json:
        print(json.dumps({"means": [asdict(row) for row in means], "frechet": [asdict(row) for row in distances]}))
        return
    print(f"{'scores':<20} {'videos':>6} {'percentiles':>12} {'t':>6} {'ours':>6} {'width over t':>13}")
    for row in means:
        shares = f"{row.percentiles:12.1%} {row.student:6.1%} {row.ours:6.1%}"
        print(f"{row.scores:<20} {row.videos:6} {shares} {row.width:13.2f}")
    print(f"\n{'videos':>6} {'mean distance':>14} {'endless':>8} {'covers the mean':>16} {'covers endless':>15}")
    for one in distances:
        print(
            f"{one.videos:6} {one.mean_distance:14.2f} {one.endless_distance:8.2f} "
            f"{one.covers_mean:16.1%} {one.covers_endless:15.1%}"
        )


if __name__ == "__main__":
    main()
