"""Synthetic dancers: procedural people with exact pose, mask, depth and clean plate, in any number, from a seed.

Clip k of seed s is drawn from the random stream (s, split, k) alone: it has the same bytes however many clips are asked
for, and no person, room or dance is shared between clips, hence none between splits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from idol_prep.schema import SPLITS, ClipRecord, DataError, Dataset, DatasetWriter, DepthTrack, Split
from idol_prep.sources._dancer import SyntheticClip, make_clip

__all__ = [
    "GENERATOR",
    "HELD_OUT_CLIPS",
    "HELD_OUT_SEED",
    "Done",
    "SyntheticClip",
    "clip_seed",
    "generate",
    "held_out",
    "make_clip",
]

GENERATOR = "idol-dancers-v1"
"""Name of the generator; any change in what a seed gives is a new version."""
HELD_OUT_SEED, HELD_OUT_CLIPS = 9001, 16
"""The held-out set by which the shipped checkpoint is judged: these clips, split ``test``; never train on this seed."""

_MAKER = {"name": GENERATOR, "version": "1", "licence": "Apache-2.0", "weights": {}, "note": "exact by construction"}
_MIN_SIDE, _MAX_SIDE = 32, 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Progress: ``clips`` of ``total`` are on disk, the last of them ``clip_id``."""

    clips: int
    total: int
    clip_id: str


def generate(
    out: Path,
    clips: int,
    seed: int = 0,
    *,
    size: tuple[int, int] = (128, 128),
    frames: int = 16,
    fps: float = 12.0,
    val_fraction: float = 0.0,
    split: Split = "train",
    progress: Callable[[Done], None] | None = None,
) -> Dataset:
    """Write the first ``clips`` dancers of ``seed`` to ``out`` as a prepared dataset; clips already there are kept.

    ``size`` is (H, W). All clips belong to ``split``, but every n-th to ``val``, n = round(1 / ``val_fraction``).
    Raises `DataError` for values out of range, and for a folder that holds other data or dancers of other settings.
    """
    _check(clips, seed, size, frames, fps)
    every = _val_every(val_fraction)
    recipe = {
        "kind": "synthetic",
        "generator": GENERATOR,
        "seed": seed,
        "size": list(size),
        "frames": frames,
        "fps": fps,
        "split": split,
        "val_every": every,
    }
    writer = DatasetWriter(out, recipe=recipe, info={"annotators": {"all tracks": _MAKER}})
    for number in range(clips):
        where: Split = "val" if every and number % every == every - 1 else split
        clip_id = f"dancer-{seed}-{number:06d}"
        if not writer.has(clip_id):
            clip = make_clip(clip_seed(seed, number, where), size, frames, fps)
            _write(writer, clip, _record(clip_id, where, f"{GENERATOR} seed {seed} clip {number}", fps))
        if progress is not None:
            progress(Done(clips=number + 1, total=clips, clip_id=clip_id))
    return writer.finish()


def held_out(
    out: Path,
    *,
    size: tuple[int, int] = (128, 128),
    frames: int = 16,
    fps: float = 12.0,
    progress: Callable[[Done], None] | None = None,
) -> Dataset:
    """The fixed held-out set: `HELD_OUT_CLIPS` clips of `HELD_OUT_SEED`, split ``test``."""
    return generate(
        out, HELD_OUT_CLIPS, HELD_OUT_SEED, size=size, frames=frames, fps=fps, split="test", progress=progress
    )


def clip_seed(seed: int, number: int, split: Split = "train") -> list[int]:
    """The random stream of one clip, for `make_clip`: no two of (seed, split, number) share one."""
    return [seed, SPLITS.index(split), number]


def _record(clip_id: str, split: Split, source: str, fps: float) -> ClipRecord:
    tracks = ("keypoints", "mask", "depth", "background")
    return ClipRecord(id=clip_id, split=split, source=source, fps=fps, annotators=dict.fromkeys(tracks, _MAKER))


def _write(writer: DatasetWriter, clip: SyntheticClip, record: ClipRecord) -> None:
    writer.write_clip(
        record,
        frames=clip.frames,
        mask=clip.mask,
        keypoints=clip.keypoints,
        depth=DepthTrack(values=clip.depth, polarity="distance", scope="person"),
        background=clip.background,
    )


def _val_every(fraction: float) -> int:
    """Every how manieth clip is for validation; 0 for none."""
    if not 0 <= fraction <= 0.5:
        raise DataError(f"val_fraction {fraction} is out of range; choose 0 to 0.5")
    return round(1 / fraction) if fraction else 0


def _check(clips: int, seed: int, size: tuple[int, int], frames: int, fps: float) -> None:
    if clips < 1:
        raise DataError(f"{clips} clips asked for; ask for at least 1")
    if seed < 0:
        raise DataError(f"seed {seed} is negative; choose 0 or more")
    if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in size):
        raise DataError(
            f"size {size[0]} x {size[1]} is out of range; choose sides of {_MIN_SIDE} to {_MAX_SIDE} pixels"
        )
    if frames < 1 or not 0 < fps <= 240:
        raise DataError(f"{frames} frames at {fps} a second; ask for at least 1 frame at 0 to 240 a second")
