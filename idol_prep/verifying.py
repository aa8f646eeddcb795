"""Going over a prepared dataset: counts, hashes, pairing of the tracks, and that nothing is missing or left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from idol_prep import _files as names
from idol_prep._ffv1 import count_ffv1
from idol_prep.schema import Clip, ClipRecord, DataError, Dataset, StillSet


@dataclass(kw_only=True, slots=True)
class Verdict:
    """What was found: ``problems`` as pairs of a clip's id (empty for the dataset's own files) and what is wrong."""

    clips: int = 0
    frames: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


def verify(root: Path, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Check every clip of the dataset in ``root``. Raises `DataError` where it cannot be opened at all."""
    dataset = Dataset.open(root)
    records = dataset.records()
    verdict = Verdict(problems=[("", problem) for problem in _whole(dataset, set(records.ids()))])
    for number, record in enumerate(records, start=1):
        verdict.clips += 1
        verdict.frames += record.frames
        verdict.problems += [(record.id, problem) for problem in _clip(dataset, record)]
        if progress:
            progress(number, len(records))
    return verdict


def verify_stills(root: Path, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Check every shard of a set of still pictures, each a clip of the verdict. Raises `DataError` as `verify` does."""
    stills = StillSet.open(root)
    verdict = Verdict()
    listed = stills.info.get("counts", {}).get("samples")
    if listed != len(stills):
        verdict.problems.append(("", f"stills.json: counts {listed} samples, its shards have {len(stills)}"))
    for number, shard in enumerate(stills.shards, start=1):
        verdict.clips += 1
        verdict.frames += shard.samples
        try:
            stills.verify(shard)
        except DataError as error:
            verdict.problems.append((shard.path.name, str(error)))
        if progress:
            progress(number, len(stills.shards))
    return verdict


def _whole(dataset: Dataset, listed: set[str]) -> Iterator[str]:
    """What the dataset's own files say against what lies there."""
    there = {folder.name for folder in (dataset.root / names.CLIPS_FOLDER).iterdir()}
    for name in sorted(there - listed):
        what = "an unfinished clip; prepare again" if name.startswith(".") else "a clip that the manifest does not list"
        yield f"clips/{name}: {what}"
    for name in sorted(listed - there):
        yield f"clips/{name}: is in the manifest, but not on disk"
    counted = dataset.info.get("counts", {}).get("clips")
    if counted != len(listed):
        yield f"{names.DATASET_FILE}: counts {counted} clips, the manifest has {len(listed)}"


def _clip(dataset: Dataset, record: ClipRecord) -> Iterator[str]:
    """A clip's files against its record: hashes, lengths and sizes of all tracks."""
    try:
        clip = dataset.clip(record.id)
        if clip.record != record:
            yield "its clip.json differs from the manifest"
        clip.verify()
        yield from _pairing(clip)
    except DataError as error:
        yield str(error)


def _pairing(clip: Clip) -> Iterator[str]:
    record = clip.record
    for name in (names.FRAMES_FILE, names.MASK_FILE, names.DEPTH_FILE):
        if name in record.files:
            found = count_ffv1(clip.path / name)
            expected = (record.frames, record.height, record.width)
            if found != expected:
                yield f"{name}: has (frames, height, width) {found}, its record says {expected}"
    keypoints = len(clip.keypoints())
    if keypoints != record.frames:
        yield f"{names.KEYPOINTS_FILE}: has {keypoints} frames, its record says {record.frames}"
