"""One page about a prepared dataset: every clip with overlays and scores, the worst first, and what was left out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idol_prep._files import explained
from idol_prep._leftovers import replaced
from idol_prep._rejects import RejectLog
from idol_prep._strip_store import STYLE, StripStore, strip_store
from idol_prep._strips import strips
from idol_prep.schema import ClipRecord, DataError, Dataset

MOST = 20_000
"""Clips on one page, at 5 KB each: beyond it a browser takes long to open it."""

_LARGER_IS_WORSE = {
    "missed_frames": 1, "missed_joints": 1, "jumps": 1, "mask_flicker": 1, "depth_flicker": 1, "crowd": 1, "cuts": 1,
    "skipped_frames": 1, "depth_cover": -1, "resolution": -1,
}  # fmt: skip
"""Sign of each score that has a bad end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """What a page shows: how many of the dataset's clips, and which of them cannot be read."""

    clips: int
    all: int
    damaged: dict[str, str]
    """Reasons by id. They stand on the page too, before all others."""


def write_report(
    root: Path, out: Path, worst: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Reported:
    """Write the page about the dataset in ``root`` to ``out``: about all clips, or about the ``worst`` so many.

    A clip takes 5 KB of it. Run again, it draws only what is new, and continues where it was broken off. Raises
    `DataError` for a dataset that is not finished, for more clips than `MOST`, and for a page that cannot be written.
    """
    dataset = Dataset.open(root)
    records = list(dataset.records())
    chosen = _worst_first(records, len(records) if worst is None else worst)
    if len(chosen) > MOST:
        raise DataError(f"{root}: {len(chosen)} clips are too many for one page; --worst {MOST} shows the worst ones")
    if out.is_dir():
        raise DataError(f"{out}: is a folder; name the page to write, such as {out / 'report.html'}")
    with explained(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        with strip_store(out) as store:
            damaged = _draw(dataset, [record for record, _ in chosen], store, progress or (lambda done, total: None))
            clips = [_row(record, rank, _shown(record, store, damaged)) for record, rank in chosen]
            _write(out, _document(dataset, records, clips))
    return Reported(clips=len(clips), all=len(records), damaged=damaged)


def _draw(
    dataset: Dataset, records: list[ClipRecord], store: StripStore, progress: Callable[[int, int], None]
) -> dict[str, str]:
    """Draw the strips that are not known yet; returns the clips that cannot be read, and why."""
    missing = [record for record in records if record.sha256 not in store.known]
    drawn = strips(dataset, [record.id for record in missing])
    damaged = {}
    for number, (record, shown) in enumerate(zip(missing, drawn, strict=True), start=1):
        if isinstance(shown, str):
            damaged[record.id] = shown
        else:
            store.add(record.sha256, base64.b64encode(shown).decode())
        progress(len(records) - len(missing) + number, len(records))
    return damaged


def mean_ranks(records: list[ClipRecord]) -> NDArray[np.float64]:
    """How bad each clip is among all, [n] from 0 to 1: the mean of its ranks by every score with a bad end.

    Equal scores share a rank, so a score that is the same everywhere says nothing; nor does one that a clip has not.
    """
    sums, counts = np.zeros(len(records)), np.zeros(len(records))
    for name, sign in _LARGER_IS_WORSE.items():
        has = [index for index, record in enumerate(records) if name in record.scores]
        if len(has) > 1:
            sums[has] += _ranks(np.array([sign * records[index].scores[name] for index in has]))
            counts[has] += 1
    return sums / np.maximum(counts, 1)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 for the smallest to 1 for the largest; equal ones share the mean of theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values) + np.searchsorted(ordered, values, "right") - 1) / (2 * (len(values) - 1))


def _worst_first(records: list[ClipRecord], count: int) -> list[tuple[ClipRecord, float]]:
    """The ``count`` worst records and how bad they are."""
    ranks = mean_ranks(records)
    return [(records[index], float(ranks[index])) for index in np.argsort(-ranks, kind="stable")[:count]]


def _shown(record: ClipRecord, store: StripStore, damaged: dict[str, str]) -> dict[str, str]:
    if record.id in damaged:
        return {"damaged": damaged[record.id]}
    return {"strip": store.known[record.sha256]}


def _row(record: ClipRecord, rank: float, shown: dict[str, str]) -> dict:
    return {
        "id": record.id,
        "split": record.split,
        "source": record.source,
        "content": record.sha256,
        "scores": {"worst": round(rank, 4), "frames": record.frames, **record.scores},
        **shown,
    }


def _document(dataset: Dataset, records: list[ClipRecord], clips: list[dict]) -> dict:
    rejects = [
        {"id": one.id, "reason": one.reason, "stage": one.stage, "source": one.source}
        for one in RejectLog(dataset.root).read().values()
    ]
    frames = sum(record.frames for record in records)
    makers = ", ".join(f"{track} by {info['name']}" for track, info in dataset.info.get("annotators", {}).items())
    scores = {name: None for clip in clips for name in clip["scores"]}
    part = "" if len(clips) == len(records) else f"the {len(clips)} worst of "
    return {
        "style": STYLE,
        "name": f"{dataset.root.resolve().name}: {part}{len(records)} clips",
        "facts": f"{frames} frames; {makers or 'annotators not noted'}; content {dataset.content_hash[:12]}",
        "splits": sorted({clip["split"] for clip in clips}),
        "scores": list(scores),
        "clips": clips,
        "rejects": rejects,
    }


def _write(page: Path, document: dict) -> None:
    empty = (files("idol_prep") / "assets" / "report.html").read_text(encoding="utf-8")
    with replaced(page) as stream:
        stream.write(empty.replace("__DATA__", _as_script(document)).encode())


def _as_script(document: dict) -> str:
    """JSON that may stand inside a script element, whatever the names in it."""
    return json.dumps(document).replace("<", "\\u003c")
