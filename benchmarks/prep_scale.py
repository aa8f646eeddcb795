"""What large datasets cost: skipping finished work, opening a manifest, and memory over many clips.

    python benchmarks/prep_scale.py [--finished 10000] [--rows 1000000] [--clips 1000] [--json]

Finished work: a source of so many sequences, all prepared, and the same command again. Manifest: so many rows, opened,
then filtered by split and by two columns. Memory: resident size after a tenth of the clips and after all of them, by
annotators that cost nothing (tests/numbered.py). Goals: 5 s, 1 s, and growth by less than 30 MB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numbered

from idol_prep.pipeline import PrepOptions, Progress, prepare
from idol_prep.schema import Clip, ClipRecord, Dataset
from idol_prep.sources.tiktok import TikTokSource

OPTIONS = PrepOptions(size=32, pose="numbered", mask="numbered", depth="numbered")
GOALS = {"skip_seconds": 5.0, "manifest_seconds": 1.0, "memory_growth_mb": 30.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--finished", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    numbered.register()
    home = Path(tempfile.mkdtemp(prefix="idol-prep-scale-"))
    try:
        found = {
            "skip_seconds": skip(home / "skip", chosen.finished),
            "manifest_seconds": manifest(home / "manifest", chosen.rows),
            "memory_growth_mb": memory(home / "memory", chosen.clips),
        }
    finally:
        shutil.rmtree(home)
    if chosen.json:
        print(json.dumps({"goals": GOALS, **vars(chosen), **found}, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:<20}{value:>10.2f}   goal {GOALS[name]:g}")
    return 0 if all(found[name] <= goal for name, goal in GOALS.items()) else 1


def skip(home: Path, count: int) -> float:
    """Seconds of a run that finds everything done. One clip is made; the others are copies under names of their own."""
    first = numbered.write_sequence(home / "raw" / "00001", list(range(1, 9)))
    out = home / "out"
    prepare(TikTokSource.open(home / "raw"), out, OPTIONS)
    record = Clip.open(out / "clips" / "00001").record
    document = (out / "clips" / "00001" / "clip.json").read_text()
    for number in range(2, count + 1):
        name = f"{number:05d}"
        shutil.copytree(first, home / "raw" / name, copy_function=_link)
        shutil.copytree(out / "clips" / "00001", out / "clips" / name, copy_function=_link)
        file = out / "clips" / name / "clip.json"
        file.unlink()
        own = document.replace('"id": "00001"', f'"id": "{name}"')
        file.write_text(own.replace(record.source, record.source.replace("00001", name)))
    prepare(TikTokSource.open(home / "raw"), out, OPTIONS)  # all of them into the manifest
    source = TikTokSource.open(home / "raw")
    start = perf_counter(), process_time()
    summary = prepare(source, out, OPTIONS)
    seconds, processor = perf_counter() - start[0], process_time() - start[1]
    print(f"skipping took {processor:.2f} s of processor time", file=sys.stderr)
    assert (summary.kept_before, summary.clips) == (count, 0), summary
    return seconds


def manifest(home: Path, rows: int) -> float:
    """Seconds to open a manifest and to choose rows from it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    home.mkdir()
    record = ClipRecord(id="clip", split="train", source="video.mp4", fps=24.0, frames=100, scores={"jumps": 0.1})
    text = json.dumps(record.to_dict())
    numbers = range(rows)
    columns = {
        "id": [f"clip-{number:07d}" for number in numbers],
        "split": ["test" if number % 100 == 0 else "train" for number in numbers],
        "frames": [number % 300 for number in numbers],
        "score_jumps": [number % 97 / 97 for number in numbers],
        "sha256": [f"{number:064x}" for number in numbers],
        "record": pa.array([text] * rows),
    }
    pq.write_table(pa.table(columns), home / "manifest.parquet", row_group_size=4096)
    (home / "dataset.json").write_text(json.dumps({"format": "idol-dataset", "version": 1, "recipe": {}}))
    start = perf_counter()
    dataset = Dataset.open(home)
    tests = dataset.records("test")
    some = dataset.records("train", frames=(100, None), score_jumps=(None, 0.2))
    assert (len(tests), some[0].frames) == (-(-rows // 100), 100)
    return perf_counter() - start


def memory(home: Path, count: int) -> float:
    """Megabytes by which the process grows between a tenth of the clips and all."""
    first = numbered.write_sequence(home / "raw" / "00001", list(range(1, 41)))
    for number in range(2, count + 1):
        shutil.copytree(first, home / "raw" / f"{number:05d}", copy_function=_link)
    process, sizes = psutil.Process(), {}

    def told(progress: Progress) -> None:
        sizes[progress.clips_done] = process.memory_info().rss

    prepare(TikTokSource.open(home / "raw"), home / "out", OPTIONS, told)
    return (max(sizes[at] for at in sizes if at > count * 0.9) - sizes[count // 10]) / 1e6


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


if __name__ == "__main__":
    sys.exit(main())
