"""The four kinds of folders that `idol_eval.samples.open_set` knows. Each decodes a frame once."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_eval.samples import DepthRule, EvalClip, SampleError
from idol_prep.schema import Dataset, Split
from idol_prep.video import probe, read_ffv1, read_video

_VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".gif")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_LOSSY_PICTURES = (".jpg", ".jpeg", ".webp")
_RECORD = "sample.json"
_DEPTH_TRACK, _DEPTH_ARRAY, _MASK_TRACK = ".depth.mkv", ".depth.npy", ".mask.mkv"


class PreparedSet:
    """A dataset of `idol prep`, or one split of it; its depth is normalised by ``rule``."""

    lossy = False

    def __init__(self, path: Path, *, split: Split | None = None, rule: DepthRule = DepthRule()) -> None:  # noqa: B008
        self.path, self.split, self.rule = path, split, rule
        self.dataset = Dataset.open(path)
        self._records = {record.id: record for record in self.dataset.records(split)}
        if not self._records:
            splits = sorted({record.split for record in self.dataset.records()})
            raise SampleError(f"{path}: no clip in split {split!r}; choose --split from {', '.join(splits) or 'none'}")

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._records)

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        clip = self.dataset.clip(id)
        stop = _stop(clip.record.frames, frames)
        shape = self.read_shape(id, frames)
        return replace(shape, video=clip.frames(0, stop), background=clip.background())

    def read_shape(self, id: str, frames: int | None = None) -> EvalClip:
        """Mask and depth alone, without decoding the pictures."""
        clip, record = self.dataset.clip(id), self._records[id]
        stop = _stop(record.frames, frames)
        mask = clip.mask(0, stop)
        if record.depth is None:
            return EvalClip(id=id, mask=mask, rule=self.rule)
        own = self.rule
        depth = record.depth.normalise(clip.depth(0, stop), mask, person=own.person, background=own.background)
        rule = replace(own, polarity=record.depth.polarity, scope=record.depth.scope)
        return EvalClip(id=id, depth=depth, mask=mask, rule=rule)

    def describe(self) -> dict[str, Any]:
        approximate = sorted({name for record in self._records.values() for name in record.approximate})
        return {
            "kind": "prepared dataset",
            "path": str(self.path),
            "split": self.split or "all",
            "clips": len(self._records),
            "content": self.dataset.content_hash,
            "depth": {"person": list(self.rule.person), "background": self.rule.background},
            "approximate": approximate,
        }


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
        folders = _subfolders(path)
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
        video = _track(folder / "frames.mkv", frames)
        depth = _track(folder / "depth.mkv", frames)
        expected = _stop(record["frames"], frames)
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
        kept = ("recipe", "checkpoint", "steps", "guidance", "seed", "colormap")
        return {
            "kind": "samples",
            "path": str(self.path),
            "clips": len(self.ids),
            "first": {name: first[name] for name in kept if name in first},
        }


class PictureSet:
    """One folder of pictures a clip; beside the frames, folders ``depth`` (8 or 16-bit grey) and ``mask``."""

    def __init__(self, path: Path, folders: dict[str, Path]) -> None:
        self.path, self._folders = path, folders
        self.lossy = any(file.suffix.lower() in _LOSSY_PICTURES for file in _pictures(next(iter(folders.values()))))

    @classmethod
    def find(cls, path: Path) -> "PictureSet | None":
        """The picture folders in ``path``, or the one that it is."""
        if not path.is_dir():
            return None
        if _pictures(path):
            return cls(path, {path.resolve().name: path})
        folders = {folder.name: folder for folder in _subfolders(path) if _pictures(folder)}
        return cls(path, folders) if folders else None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        folder = self._folders[id]
        files = _pictures(folder)[:frames]
        return EvalClip(
            id=id,
            video=_stack([_picture(file, "RGB") for file in files], folder),
            depth=_grey_track(folder / "depth", frames),
            mask=_mask_track(folder / "mask", frames),
        )

    def describe(self) -> dict[str, Any]:
        return {"kind": "picture folders", "path": str(self.path), "clips": len(self.ids), "lossy": self.lossy}


class VideoSet:
    """Video files; beside ``ID.mp4``, ``ID.depth.mkv`` (16-bit grey) or ``ID.depth.npy``, and ``ID.mask.mkv``."""

    def __init__(self, path: Path, files: dict[str, Path]) -> None:
        self.path, self._files = path, files
        self.lossy = any(_is_lossy(file) for file in files.values())

    @classmethod
    def find(cls, path: Path) -> "VideoSet | None":
        """The video files in ``path``, or the one that it is."""
        listed = [path] if path.is_file() else sorted(path.iterdir())
        files = [file for file in listed if file.suffix.lower() in _VIDEOS and not _is_companion(file)]
        twice = [file for file in files if sum(file.stem == other.stem for other in files) > 1]
        if twice:
            raise SampleError(f"{twice[0]}: another video has the same name and a different ending; keep one of them")
        return cls(path, {file.stem: file for file in files}) if files else None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._files)

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        file = self._files[id]
        pictures = list(read_video(file, stop=frames))
        if not pictures:
            raise SampleError(f"{file}: holds no frames; is the file complete?")
        return EvalClip(
            id=id,
            video=np.stack(pictures),
            depth=self._depth(file, frames),
            mask=_track(file.with_suffix(_MASK_TRACK), frames),
        )

    def describe(self) -> dict[str, Any]:
        return {"kind": "videos", "path": str(self.path), "clips": len(self.ids), "lossy": self.lossy}

    @staticmethod
    def _depth(file: Path, frames: int | None) -> NDArray[np.float32] | None:
        track = _track(file.with_suffix(_DEPTH_TRACK), frames)
        if track is not None:
            return track.astype(np.float32) / np.iinfo(track.dtype).max
        array = file.with_suffix(_DEPTH_ARRAY)
        return np.load(array, allow_pickle=False)[:frames].astype(np.float32) if array.is_file() else None


def _subfolders(path: Path) -> list[Path]:
    return (
        sorted(folder for folder in path.iterdir() if folder.is_dir() and folder.name[0] != ".")
        if path.is_dir()
        else []
    )


def _pictures(folder: Path) -> list[Path]:
    """Picture files in the order of the numbers in their names."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in _PICTURES] if folder.is_dir() else []
    return sorted(
        files, key=lambda file: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.stem)]
    )


def _stack(frames: list[NDArray], folder: Path) -> NDArray:
    sizes = {frame.shape for frame in frames}
    if len(sizes) > 1:
        raise SampleError(f"{folder}: frames of different sizes {sorted(sizes)}; make them equal")
    return np.stack(frames)


def _picture(file: Path, mode: str | None = None) -> NDArray:
    """Pixels of one picture, converted to ``mode`` where given."""
    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert(mode) if mode else picture)
    except OSError as error:
        raise SampleError(f"{file}: cannot be read ({error}); is it a whole picture?") from error


def _grey_track(folder: Path, limit: int | None) -> NDArray[np.float32] | None:
    files = _pictures(folder)[:limit]
    if not files:
        return None
    frames = []
    for file in files:
        values = _picture(file)
        if values.ndim != 2:
            raise SampleError(f"{file}: depth must be grey with 8 or 16 bits, this has {values.shape[-1]} channels")
        frames.append(values.astype(np.float32) / (255 if values.dtype == np.uint8 else 65535))
    return _stack(frames, folder)


def _mask_track(folder: Path, limit: int | None) -> NDArray[np.uint8] | None:
    frames = [(_picture(file, "L") > 127).astype(np.uint8) for file in _pictures(folder)[:limit]]
    return _stack(frames, folder) if frames else None


def _track(file: Path, limit: int | None) -> NDArray | None:
    """The first ``limit`` frames of a lossless track, all where it has fewer; None where there is no file."""
    if not file.is_file():
        return None
    if limit is None:
        return read_ffv1(file)
    count = probe(file).frames
    return read_ffv1(file, 0, limit if count is None else _stop(count, limit))


def _stop(frames: int, limit: int | None) -> int:
    return frames if limit is None else min(frames, limit)


def _is_companion(file: Path) -> bool:
    return file.name.endswith((_DEPTH_TRACK, _MASK_TRACK))


def _is_lossy(file: Path) -> bool:
    """Whether the video codec loses pixels, by its name; unreadable files are left for `read` to explain."""
    import av

    try:
        with av.open(str(file)) as container:
            return container.streams.video[0].codec_context.name not in ("ffv1", "png", "rawvideo", "qtrle", "huffyuv")
    except (av.FFmpegError, IndexError):
        return False
