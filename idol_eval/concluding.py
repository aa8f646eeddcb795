"""Second half of scoring: evidence into rows with numbers, counts, intervals and gaps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_eval.catalogue import KERNEL_OF
from idol_eval.config import BenchConfig
from idol_eval.evidence import Evidence, RowEvidence
from idol_eval.frechet import frechet_between
from idol_eval.intervals import COVERS_FRECHET, COVERS_MEANS, bootstrap_frechet, extrapolate, mean_interval
from idol_eval.kernel import kernel_distance
from idol_eval.repeats import repeated
from idol_eval.row import Row
from idol_eval.samples import few
from idol_eval.statistics import Statistics
from idol_eval.store import FeatureStore
from idol_eval.temporal import change_ratio

MOST_ROWS = 20_000
"""Features of more rows are not held in memory for intervals, kernels and extrapolation; the row says so."""

_STATISTICS = {
    "moments": "float64, unbiased unless the protocol says",
    "root": "exact",
    "unit": "videos",
    "intervals": {"means": COVERS_MEANS, "frechet": COVERS_FRECHET},
}
"""How Frechet distances and intervals come about (`idol_eval.frechet`, `idol_eval.intervals`)."""


def conclude(evidence: Evidence, store: FeatureStore, config: BenchConfig) -> list[Row]:
    """One row a candidate, from the evidence of all clips; features come from ``store`` clip by clip.

    Rows of several seeds of one model have their means in front.
    """
    rows = [_Conclusion(evidence, row, store, config).row() for row in evidence.rows]
    models = dict.fromkeys(row.repeat_of for row in evidence.rows if row.repeat_of is not None)
    seeds = {of: [row for row, own in zip(rows, evidence.rows, strict=True) if own.repeat_of == of] for of in models}
    means = [repeated(of, own) for of, own in seeds.items()]
    # Of a model with several seeds the row of means counts for it, no single seed.
    alone = [
        replace(row, recipe="" if own.repeat_of else row.recipe) for row, own in zip(rows, evidence.rows, strict=True)
    ]
    return [*means, *alone]


def aggregate(per_clip: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Means over clips (each weighs the same); roots are taken of mean squares; changes become ratios of means."""
    keys = {key: None for clip in per_clip for key in clip if key != "id"}
    means = {key: float(np.mean([clip[key] for clip in per_clip if key in clip])) for key in keys}
    for prefix in ("depth_", "depth_fg_"):
        if f"{prefix}mse" in means:
            means[f"{prefix}rmse"] = means[f"{prefix}mse"] ** 0.5
    values: dict[str, float | None] = {
        key: value for key, value in means.items() if not key.endswith(("_change_pred", "_change_true"))
    }
    for name in ("video_change", "depth_change"):
        if f"{name}_true" in means and f"{name}_pred" in means:
            values[name] = change_ratio(means[f"{name}_pred"], means[f"{name}_true"])
    return values


class _Conclusion:
    """One row in the making."""

    def __init__(self, evidence: Evidence, row: RowEvidence, store: FeatureStore, config: BenchConfig) -> None:
        self._evidence, self._row, self._store, self._config = evidence, row, store, config
        self._ids = [id for id in evidence.ids if id in row.per_clip]
        self._values = aggregate([row.per_clip[id] for id in self._ids])
        self._counts = {"clips": len(self._ids), "frames": sum(row.frames[id] for id in self._ids)}
        self._intervals: dict[str, tuple[float, float]] = {}
        self._spreads: dict[str, float] = {}
        self._limits: dict[str, Any] = {}
        self._left_out = [f"{why} ({_clips(ids, len(self._ids))})" for why, ids in row.reasons.items()]

    def row(self) -> Row:
        self._mean_intervals()
        for family in self._row.keys:
            self._frechet(family)
        self._unmeasured()
        return Row(
            name=self._row.name,
            kind=self._row.kind,  # type: ignore[arg-type]  # kinds come back from JSON as plain text
            values=self._values,
            counts=self._counts,
            intervals=self._intervals,
            spreads=self._spreads,
            limits=self._limits,
            extractors={name: self._evidence.extractors[name] for name in self._networks()},
            left_out=tuple(self._left_out),
            notes=tuple(self._notes()),
            per_clip=self._row.clips(self._ids),
            truth=self._evidence.truth_hash,
            lossy=self._row.lossy,
            background=self._row.background,
            recipe=self._row.recipe,
            statistics=_STATISTICS | {"draws": self._config.bootstrap, "seed": self._config.seed},
        )

    def _networks(self) -> list[str]:
        own = list(self._row.keys)
        return [*own, "lpips"] if "lpips" in self._values and "lpips" in self._evidence.extractors else own

    def _frechet(self, family: str) -> None:
        mine, true = (self._gathered(keys[family]) for keys in (self._row.keys, self._evidence.truth))
        if min(mine.count, true.count) < 2:
            self._left_out.append(f"{family}: needs 2 snippets or frames at least, there are {mine.count}")
            return
        sides = [side.gaussian() for side in (mine, true)]
        if self._config.protocol.covariance == "biased":
            sides = [side.biased() for side in sides]
        value = frechet_between(sides[0], sides[1])
        if family in self._config.families:
            self._values[family] = value
        self._counts[f"{family}_n"] = mine.count
        self._beyond_moments(family, value, mine.count)

    def _beyond_moments(self, family: str, value: float, rows: int) -> None:
        """What needs the features themselves."""
        if rows > MOST_ROWS:
            self._left_out.append(f"{family}: {rows} rows are too many for intervals and kernels ({MOST_ROWS} at most)")
            return
        mine, true = (self._videos(keys[family]) for keys in (self._row.keys, self._evidence.truth))
        for kernel in (name for name, of in KERNEL_OF.items() if of == family and name in self._config.families):
            found = kernel_distance(np.concatenate(mine), np.concatenate(true))
            self._values[kernel], self._spreads[kernel] = found.mean, found.spread
            self._counts[f"{kernel}_subset"], self._counts[f"{kernel}_subsets"] = found.subset, found.subsets
        if family not in self._config.families:
            return
        if self._config.bootstrap and len(mine) > 1:
            sides = (mine, true)
            self._intervals[family] = bootstrap_frechet(sides, value, self._config.bootstrap, self._config.seed)
        if self._config.extrapolate:
            self._extrapolate(family, np.concatenate(mine), np.concatenate(true))

    def _extrapolate(self, family: str, mine: NDArray, true: NDArray) -> None:
        if min(len(mine), len(true)) < 8:
            self._left_out.append(f"{family} for endless samples: needs 8 rows at least, there are {len(mine)}")
        else:
            self._limits[family] = extrapolate(mine, true, self._config.seed)

    def _mean_intervals(self) -> None:
        """Of everything that is a plain mean over clips."""
        if not self._config.bootstrap:
            return
        if len(self._ids) < 2:
            self._left_out.append("intervals: one clip alone says nothing about others")
            return
        clips = [self._row.per_clip[id] for id in self._ids]
        for key, value in self._values.items():
            own = [clip[key] for clip in clips if key in clip]
            if len(own) > 1 and value is not None and np.isfinite(own).all() and not key.endswith("rmse"):
                self._intervals[key] = mean_interval(own)

    def _unmeasured(self) -> None:
        """Families that were asked for and that this run cannot have."""
        if self._row.kind not in ("measured", "ceiling"):
            return
        for family in self._config.beyond_protocol:
            self._left_out.append(f"{family}: not part of protocol {self._config.protocol.id}")
        if "lpips" in self._config.families and "lpips" not in self._evidence.extractors:
            self._left_out.append("lpips: needs a classifier's weights, --weights lpips-alex=FILE or lpips-vgg=FILE")

    def _notes(self) -> Iterator[str]:
        doubtful: dict[str, list[str]] = {}
        for family in self._networks():
            about = self._evidence.extractors[family]
            if not about["comparable"]:
                doubtful.setdefault(about["weights"], []).append(family)
        for label, families in doubtful.items():
            yield f"{', '.join(families)}: weights {label}, not comparable with published numbers"
        yield from self._row.notes

    def _gathered(self, keys: Mapping[str, str]) -> Statistics:
        whole: Statistics | None = None
        for features in self._store.rows(keys[id] for id in self._ids):
            whole = whole or Statistics(features.shape[1])
            whole.update(features)
        return whole or Statistics(1)

    def _videos(self, keys: Mapping[str, str]) -> list[NDArray]:
        return [np.asarray(features) for features in self._store.rows(keys[id] for id in self._ids)]


def _clips(ids: Sequence[str], total: int) -> str:
    if len(ids) == total:
        return "all clips"
    return few(ids)
