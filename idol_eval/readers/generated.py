"""Samples that `idol generate` and `idol bench` wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from idol_eval.readers.tracks import read_track, shortened, subfolders
from idol_eval.samples import DepthRule, EvalClip, SampleError

_RECORD = "sample.json"


class SampleSet:
    """Folders with ``sample.json``: what `idol generate` and `idol bench` write."""

    lossy = False

    def __init__(self, path: Path, folders: dict[str, Path]) -> None:
        self.path, self._folders = path, folders

    @classmethod
    def find(cls, path: Path) -> "SampleSet | None":
        """The samples in ``path``, or the one that it is."""
        if (path / _RECORD).is_file():
            return cls(path, {path.resolve().name: path})
        folders = subfolders(path)
        samples = {folder.name: folder for folder in folders if (folder / _RECORD).is_file()}
        if not samples:
            return None
        others = [folder.name for folder in folders if folder.name not in samples]
        if others:
            raise SampleError(f"{path / others[0]}: has no {_RECORD} and so is no sample; move it away or complete it")
        return cls(path, samples)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def record(self, id: str) -> dict[str, Any]:
        """The sample's ``sample.json``."""
        file = self._folders[id] / _RECORD
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SampleError(f"{file}: cannot be read ({error}); generate this sample again") from error
        if not isinstance(record, dict) or record.get("format") != "idol-sample" or record.get("version") != 1:
            raise SampleError(f"{file}: is no sample record of version 1; generate this sample again")
        return record

    def rule(self, id: str) -> DepthRule:
        """What the sample's depth values mean."""
        depth = self.record(id).get("depth") or {}
        low, high = depth.get("person", DepthRule().person)
        return DepthRule(
            person=(low, high),
            background=depth.get("background", DepthRule().background),
            polarity=depth.get("polarity"),
        )

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        folder, record = self._folders[id], self.record(id)
        video = read_track(folder / "frames.mkv", frames)
        depth = read_track(folder / "depth.mkv", frames)
        expected = shortened(record["frames"], frames)
        for track in (video, depth):
            if track is not None and len(track) != expected:
                raise SampleError(
                    f"{folder}: a track holds {len(track)} frames, {_RECORD} says {record['frames']}; generate it again"
                )
        if video is None:
            raise SampleError(f"{folder}: has no frames.mkv; generate it again")
        values = None if depth is None else depth.astype(np.float32) / 65535
        return EvalClip(id=id, video=video, depth=values, rule=self.rule(id))

    def describe(self) -> dict[str, Any]:
        first = self.record(self.ids[0])
        kept = ("recipe", "checkpoint", "steps", "guidance", "seed", "dtype", "colormap")
        return {
            "kind": "samples",
            "path": str(self.path),
            "clips": len(self.ids),
            "first": {name: first[name] for name in kept if name in first},
        }
