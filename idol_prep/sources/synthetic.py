"""Procedural dancers as a prepared dataset: exact keypoints, mask and depth, no download, the same bytes everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from idol_prep.schema import ClipRecord, DataError, Dataset, DatasetWriter, DepthTrack, Split
from idol_prep.sources._dancer import SyntheticClip, make_clip

__all__ = ["HELD_OUT_CLIPS", "HELD_OUT_SEED", "SyntheticClip", "generate", "held_out", "make_clip"]

HELD_OUT_SEED = 9001
HELD_OUT_CLIPS = 16
"""The held-out set: clips 0 to 15 of this seed, split ``test``. No training recipe uses seed or split."""

_VERSION = 2
"""Changes whenever the same seed gives other pictures."""
_STREAMS: dict[Split, int] = {"train": 0, "val": 1, "test": 2}
_EXACT = {"name": "synthetic", "version": str(_VERSION), "licence": "Apache-2.0", "weights": None}
_VALIDATION_EVERY = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` clips are on disk; ``skipped`` of them were there before."""

    done: int
    total: int
    skipped: int


def generate(
    out: Path,
    clips: int,
    seed: int,
    *,
    size: tuple[int, int] = (128, 128),
    frames: int = 16,
    fps: float = 12.0,
    split: Literal["train", "test"] = "train",
    progress: Callable[[Progress], None] | None = None,
) -> Dataset:
    """Write ``clips`` dancers to ``out`` and open the result; clips already there are kept.

    Clip k depends on (seed, split, k) alone, so a larger set begins with the smaller one. In a training set every 20th
    clip goes to split ``val``; subjects, rooms and dances of the three splits come from separate random streams.

    Args:
        out: the dataset's folder, new or written by the same call before.
        clips: how many.
        seed: any integer >= 0.
        size: height and width in pixels, each a multiple of 8 and at least 32.
        frames: length of each clip.
        fps: frames a second.
        split: ``train`` (with its ``val`` clips) or ``test``.
        progress: told after each clip.

    Raises:
        DataError: a value is out of range, or ``out`` holds something else.
    """
    _check(clips, seed, size, frames)
    recipe = {"kind": "synthetic", "generator": _VERSION, "seed": seed, "size": list(size), "frames": frames}
    recipe |= {"fps": fps, "stream": split}
    writer = DatasetWriter(out, recipe=recipe, info={"source": {"kind": "synthetic", "licence": "Apache-2.0"}})
    skipped = 0
    for index in range(clips):
        record = _record(index, seed, split, fps)
        if writer.has(record.id):
            skipped += 1
        else:
            _write(writer, record, make_clip([seed, _STREAMS[record.split], index], size, frames, fps))
        if progress:
            progress(Progress(index + 1, clips, skipped))
    return writer.finish()


def held_out(out: Path, progress: Callable[[Progress], None] | None = None) -> Dataset:
    """The sixteen dancers on which shipped checkpoints are scored: unseen people, rooms and dances."""
    return generate(out, HELD_OUT_CLIPS, HELD_OUT_SEED, split="test", progress=progress)


def _record(index: int, seed: int, split: Split, fps: float) -> ClipRecord:
    validation = split == "train" and index % _VALIDATION_EVERY == _VALIDATION_EVERY - 1
    return ClipRecord(
        id=f"dancer-{seed}-{index:05d}",
        split="val" if validation else split,
        source=f"synthetic, seed {seed}, clip {index}",
        fps=fps,
        annotators=dict.fromkeys(("keypoints", "mask", "depth", "background"), _EXACT),
    )


def _write(writer: DatasetWriter, record: ClipRecord, clip: SyntheticClip) -> None:
    writer.write_clip(
        record,
        frames=clip.frames,
        mask=clip.mask,
        keypoints=clip.keypoints,
        depth=DepthTrack(values=clip.depth, polarity="distance", scope="person"),
        background=clip.background,
    )


def _check(clips: int, seed: int, size: tuple[int, int], frames: int) -> None:
    if clips < 1:
        raise DataError(f"clips: {clips} is none; ask for at least 1")
    if seed < 0:
        raise DataError(f"seed: {seed} is negative; take any integer from 0")
    if frames < 1:
        raise DataError(f"frames: {frames} is none; ask for at least 1")
    if any(side < 32 or side % 8 for side in size):
        raise DataError(f"size: {size[0]} x {size[1]} must be multiples of 8, at least 32")
