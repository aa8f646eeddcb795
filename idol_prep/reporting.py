"""One page about a prepared dataset: every clip with overlays and scores, the worst first, and what was left out."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep import colormap
from idol_prep._files import explained
from idol_prep._leftovers import replaced
from idol_prep._rejects import RejectLog
from idol_prep.pose import render
from idol_prep.schema import Clip, ClipRecord, Dataset

_HEIGHT = 80
_AT = (1 / 6, 1 / 2, 5 / 6)
"""Where in a clip the strip's frames are taken."""
_QUALITY = 55
_LARGER_IS_WORSE = {
    "missed_frames": 1, "missed_joints": 1, "jumps": 1, "mask_flicker": 1, "depth_flicker": 1, "crowd": 1, "cuts": 1,
    "skipped_frames": 1, "depth_cover": -1, "resolution": -1,
}  # fmt: skip
"""Sign of each score that has a bad end."""


def write_report(root: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Write the page about the dataset in ``root`` to ``out``; returns how many clips it shows.

    A clip takes 4 KB of it. Raises `DataError` for a dataset that is not finished, or damaged.
    """
    dataset = Dataset.open(root)
    records = list(dataset.records())
    worst = mean_ranks(records)
    clips = []
    for number, (record, rank) in enumerate(zip(records, worst, strict=True), start=1):
        clips.append(_row(dataset.clip(record.id), rank))
        if progress:
            progress(number, len(records))
    page = (files("idol_prep") / "assets" / "report.html").read_text(encoding="utf-8")
    with explained(out.parent), replaced(out) as stream:
        stream.write(page.replace("__DATA__", _as_script(_document(dataset, records, clips))).encode())
    return len(clips)


def mean_ranks(records: list[ClipRecord]) -> NDArray[np.float64]:
    """How bad each clip is among all, [n] from 0 to 1: the mean of its ranks by every score with a bad end.

    Equal scores share a rank, so a score that is the same everywhere says nothing.
    """
    from scipy.stats import rankdata

    named = [name for name in _LARGER_IS_WORSE if any(name in record.scores for record in records)]
    if not named or len(records) < 2:
        return np.zeros(len(records))
    ranks = [
        rankdata([_LARGER_IS_WORSE[name] * record.scores.get(name, 0.0) for record in records], method="average")
        for name in named
    ]
    return (np.mean(ranks, axis=0) - 1) / (len(records) - 1)


def strip(clip: Clip) -> NDArray[np.uint8]:
    """Three frames with mask and pose, then the middle one's depth, side by side: uint8 [80,W,3]."""
    record = clip.record
    numbers = [min(int(part * record.frames), record.frames - 1) for part in _AT]
    tiles = [_overlay(clip, number) for number in numbers]
    if record.depth is not None:
        middle = numbers[len(numbers) // 2]
        depth, mask = clip.depth(middle, middle + 1), clip.mask(middle, middle + 1)
        name = "hot" if record.depth.scope == "person" else "gray"
        tiles.append(_small(colormap.encode(record.depth.normalise(depth, mask), name)[0]))
    return np.concatenate(tiles, axis=1)


def _overlay(clip: Clip, number: int) -> NDArray[np.uint8]:
    frame, mask = clip.frames(number, number + 1)[0], clip.mask(number, number + 1)[0]
    size = (frame.shape[0], frame.shape[1])
    drawn = render(clip.keypoints(number, number + 1), size, size)[0]
    shown = np.where(mask[..., None] > 0, frame, frame // 3)
    return _small(np.where(drawn.any(axis=-1, keepdims=True), drawn, shown))


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = max(1, round(picture.shape[1] * _HEIGHT / picture.shape[0]))
    return np.asarray(Image.fromarray(picture).resize((width, _HEIGHT), Image.Resampling.LANCZOS))


def _row(clip: Clip, worst: float) -> dict:
    record = clip.record
    encoded = io.BytesIO()
    Image.fromarray(strip(clip)).save(encoded, format="WEBP", quality=_QUALITY)
    return {
        "id": record.id,
        "split": record.split,
        "source": record.source,
        "scores": {"worst": round(float(worst), 4), "frames": record.frames, **record.scores},
        "strip": base64.b64encode(encoded.getvalue()).decode(),
    }


def _document(dataset: Dataset, records: list[ClipRecord], clips: list[dict]) -> dict:
    rejects = [
        {"id": one.id, "reason": one.reason, "stage": one.stage, "source": one.source}
        for one in RejectLog(dataset.root).read().values()
    ]
    frames = sum(record.frames for record in records)
    makers = ", ".join(f"{track} by {info['name']}" for track, info in dataset.info.get("annotators", {}).items())
    scores = {name: None for clip in clips for name in clip["scores"]}
    return {
        "name": f"{dataset.root.resolve().name}: {len(records)} clips",
        "facts": f"{frames} frames; {makers or 'annotators not noted'}; content {dataset.content_hash[:12]}",
        "splits": sorted({record.split for record in records}),
        "scores": list(scores),
        "clips": clips,
        "rejects": rejects,
    }


def _as_script(document: dict) -> str:
    """JSON that may stand inside a script element, whatever the names in it."""
    return json.dumps(document).replace("<", "\\u003c")
