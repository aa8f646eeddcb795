"""Any videos: one file, or a folder with all that lies below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from idol_prep import video
from idol_prep.schema import DataError, Split
from idol_prep.sources import ClipLook, RawFrame, read_split_file

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")

_COMPLETE = 0.9
"""Part of the announced frames from which a video counts as whole; some containers only know their duration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoClip:
    """One video file. ``fps`` thins it to that rate; None keeps its own."""

    id: str
    path: Path
    origin: str
    split: Split = "train"
    fps: float | None = None

    @property
    def stamp(self) -> str:
        """Changes when the file is replaced by one of another length."""
        return f"{self.path.stat().st_size} bytes"

    def look(self) -> ClipLook:
        """Size, rate and length as they will be read. Raises `DataError` for what is no video or too slow."""
        info = self._probe()
        if self.fps is not None and self.fps > info.fps * 1.01:
            raise DataError(f"{self.path}: has {info.fps:g} frames/s, --fps {self.fps:g} asks for more; lower it")
        rate = self.fps or info.fps
        frames = None if info.frames is None else max(1, round(info.frames * rate / info.fps))
        return ClipLook(height=info.height, width=info.width, fps=rate, frames=frames)

    def read(self, start: int = 0) -> Iterator[RawFrame]:
        """Upright frames; thinned to ``fps`` by taking the nearest earlier frame.

        A file that is cut off may simply end: where it stays behind the frames and the seconds that it announces, it
        breaks off. Frames that its timestamps leave out are counted (`RawFrame.skipped`).
        """
        info = self._probe()
        ratio = 1.0 if self.fps is None else max(1.0, info.fps / self.fps)
        wanted = start
        end = first = int(start * ratio)
        clock = _Clock(info.fps)
        try:
            for index, (frame, second) in enumerate(video.read_timed(self.path, start=first), start=first):
                end = index + 1
                clock.tick(second)
                if index == int(wanted * ratio):
                    wanted += 1
                    yield RawFrame(rgb=frame, skipped=clock.skipped())
        except video.TrackError as error:
            raise DataError(str(error)) from error
        behind = info.frames is not None and end < _COMPLETE * info.frames
        if behind and not clock.reached(info.seconds):
            raise DataError(f"{self.path}: ends after {end} of {info.frames} frames; is the copy complete?")

    def _probe(self) -> video.VideoInfo:
        try:
            return video.probe(self.path)
        except video.TrackError as error:
            raise DataError(str(error)) from error


@dataclass(slots=True)
class _Clock:
    """Follows the timestamps of frames."""

    fps: float
    now: float | None = None
    missing: int | None = None

    def tick(self, second: float | None) -> None:
        """The next frame."""
        if second is not None:
            step = 0 if self.now is None else max(0, round((second - self.now) * self.fps) - 1)
            self.missing = (self.missing or 0) + step
            self.now = second

    def skipped(self) -> int | None:
        """Frames left out since this was asked last."""
        found, self.missing = self.missing, None
        return found

    def reached(self, seconds: float | None) -> bool:
        """Whether the last frame is near the end of so many seconds."""
        return seconds is not None and self.now is not None and self.now >= _COMPLETE * seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderSource:
    """Videos of a folder and its sub-folders, in order of their paths."""

    root: Path
    videos: tuple[VideoClip, ...]
    splits: str = "all train"
    name: str = field(default="folder", init=False)

    @classmethod
    def open(cls, path: Path, *, fps: float | None = None, split_file: Path | None = None) -> FolderSource:
        """List the videos. Raises `DataError` where the path does not exist or holds none."""
        files = _video_files(path)
        root = path if path.is_dir() else path.parent
        splits = read_split_file(split_file) if split_file else {}
        videos = tuple(
            VideoClip(
                id=clip_id, path=file, origin=str(file.relative_to(root)), split=splits.get(clip_id, "train"), fps=fps
            )
            for clip_id, file in _ids(files, root).items()
        )
        return cls(root=root, videos=videos, splits=str(split_file) if split_file else "all train")

    def clips(self) -> Sequence[VideoClip]:
        """Every video as one clip."""
        return self.videos

    def ships(self, track: str) -> bool:
        """A video brings nothing but frames."""
        return False

    def describe(self) -> dict:
        """For ``dataset.json``."""
        return {"name": self.name, "videos": len(self.videos), "splits": self.splits}


def _video_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; name a video, or a folder of videos")
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
    if not files:
        raise DataError(f"{path}: holds no video ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return files


def _ids(files: Sequence[Path], root: Path) -> dict[str, Path]:
    """A readable, unique id for each file, the same whenever the same files lie there."""
    ids: dict[str, Path] = {}
    for file in files:
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", str(file.relative_to(root).with_suffix(""))).strip("-.") or "clip"
        candidates = [plain, f"{plain}-{file.suffix[1:].lower()}", *(f"{plain}-{n}" for n in range(2, len(files) + 2))]
        ids[next(name for name in candidates if name not in ids)] = file
    return ids
