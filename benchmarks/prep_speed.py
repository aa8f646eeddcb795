"""How fast `idol prep folder` is, measured against what it cannot do without: decoding, and MediaPipe.

    python benchmarks/prep_speed.py VIDEO [--rounds 3] [--copies 1] [--json]

In each round, on the same machine in the same minute: decoding alone (every frame as RGB), MediaPipe alone (pose and
person mask of frames that lie decoded in memory at their full size), MediaPipe's pose alone, and the whole preparation
into an empty folder. The figure of merit is the preparation's speed over that of the slower of decoding and MediaPipe;
the median of the rounds is reported. With --copies the preparation has the video so many times in a row, so that one
clip is cut while the next is looked at. Beside it: encoding alone, of the tracks that the preparation made, as a part
of its time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from idol_prep import annotators, video
from idol_prep._ffv1 import Layout, read_ffv1, write_ffv1
from idol_prep.annotators.mediapipe_pose import PersonEngine
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.schema import Dataset
from idol_prep.sources.folder import FolderSource

GOAL, ENCODING_GOAL = 0.85, 0.15
_BATCH = 8
Tracks = dict[Layout, np.ndarray]


@dataclass(frozen=True)
class Timing:
    """Frames a second of each part in one round."""

    decode: float
    mediapipe: float
    pose_only: float
    prepare: float
    encode: float

    @property
    def ratio(self) -> float:
        """Preparation over the slower of decoding and MediaPipe (pose and mask)."""
        return self.prepare / min(self.decode, self.mediapipe)

    @property
    def encoding(self) -> float:
        """Encoding's part of the preparation's time."""
        return self.prepare / self.encode

    @property
    def ratio_to_pose(self) -> float:
        """The same against MediaPipe without its mask."""
        return self.prepare / min(self.decode, self.pose_only)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rounds = measure(chosen.video, chosen.rounds, chosen.copies)
    middle = {
        name: statistics.median(getattr(r, name) for r in rounds)
        for name in (*_PARTS, "ratio", "ratio_to_pose", "encoding")
    }
    if chosen.json:
        print(json.dumps({"video": chosen.video.name, "goal": GOAL, "rounds": len(rounds), **middle}, indent=2))
    else:
        for name, label in _PARTS.items():
            print(f"{label:<44}{middle[name]:8.1f} frames/s")
        print(f"{'preparation / slower of decoding, MediaPipe':<44}{middle['ratio']:8.2f} (goal {GOAL})")
        print(f"{'the same against pose without mask':<44}{middle['ratio_to_pose']:8.2f}")
        print(f"{'part of the time that encoding takes':<44}{middle['encoding']:8.2f} (goal {ENCODING_GOAL})")
    return 0 if middle["ratio"] >= GOAL and middle["encoding"] <= ENCODING_GOAL else 1


_PARTS = {
    "decode": "decoding alone",
    "mediapipe": "MediaPipe alone, pose and mask",
    "pose_only": "MediaPipe alone, pose",
    "prepare": "idol prep folder, everything",
    "encode": "encoding alone, three tracks",
}


def measure(path: Path, rounds: int, copies: int) -> list[Timing]:
    """Time every part ``rounds`` times, interleaved."""
    frames = [np.ascontiguousarray(frame) for frame in video.read_video(path)]
    tracks = _tracks(path)
    annotators.create_pair("mediapipe", "mediapipe")  # imports are not what is measured
    return [
        Timing(
            decode=_rate(len(frames), lambda: _decode(path)),
            mediapipe=_rate(len(frames), lambda: _mediapipe(frames, segmentation=True)),
            pose_only=_rate(len(frames), lambda: _mediapipe(frames, segmentation=False)),
            prepare=_rate(len(frames) * copies, lambda: _prepare(path, copies)),
            encode=_rate(len(tracks["rgb"]), lambda: _encode(tracks)),
        )
        for _ in range(rounds)
    ]


def _rate(frames: int, work: Callable[[], None]) -> float:
    start = perf_counter()
    work()
    return frames / (perf_counter() - start)


def _decode(path: Path) -> None:
    for _ in video.read_video(path):
        pass


def _mediapipe(frames: list[np.ndarray], *, segmentation: bool) -> None:
    engine = PersonEngine(segmentation=segmentation)
    for start in range(0, len(frames), _BATCH):
        engine.run(np.stack(frames[start : start + _BATCH]))


def _prepare(path: Path, copies: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="idol-prep-speed-"))
    try:
        (folder / "raw").mkdir()
        for number in range(copies):
            shutil.copyfile(path, folder / "raw" / f"{number}{path.suffix}")
        prepare(FolderSource.open(folder / "raw"), folder / "out", PrepOptions())
    finally:
        shutil.rmtree(folder)


def _tracks(path: Path) -> Tracks:
    """The three tracks of the video's first clip, as the preparation writes them."""
    folder = Path(tempfile.mkdtemp(prefix="idol-prep-speed-"))
    try:
        prepare(FolderSource.open(path), folder / "out", PrepOptions())
        dataset = Dataset.open(folder / "out")
        clip = dataset.clip(dataset.records()[0].id)
        return {"rgb": clip.frames(), "gray": clip.mask(), "gray16": read_ffv1(clip.path / "depth.mkv")}
    finally:
        shutil.rmtree(folder)


def _encode(tracks: Tracks) -> None:
    folder = Path(tempfile.mkdtemp(prefix="idol-prep-speed-"))
    try:
        for layout, frames in tracks.items():
            write_ffv1(folder / f"{layout}.mkv", frames, layout, 24.0)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
