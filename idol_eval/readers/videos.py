"""Folders of video files, one a clip."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_eval.readers.tracks import read_track, shortened
from idol_eval.samples import EvalClip, SampleError
from idol_prep.video import probe, read_video

_VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".gif")
_LOSSLESS = ("ffv1", "png", "rawvideo", "qtrle", "huffyuv")
_DEPTH_TRACK, _DEPTH_ARRAY, _MASK_TRACK = ".depth.mkv", ".depth.npy", ".mask.mkv"


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
        _check_whole(file, len(pictures), frames)
        return EvalClip(
            id=id,
            video=np.stack(pictures),
            depth=self._depth(file, frames),
            mask=read_track(file.with_suffix(_MASK_TRACK), frames),
        )

    def describe(self) -> dict[str, Any]:
        return {"kind": "videos", "path": str(self.path), "clips": len(self.ids), "lossy": self.lossy}

    @staticmethod
    def _depth(file: Path, frames: int | None) -> NDArray[np.float32] | None:
        track = read_track(file.with_suffix(_DEPTH_TRACK), frames)
        if track is not None:
            return track.astype(np.float32) / np.iinfo(track.dtype).max
        array = file.with_suffix(_DEPTH_ARRAY)
        if not array.is_file():
            return None
        try:
            return np.load(array, allow_pickle=False)[:frames].astype(np.float32)
        except (ValueError, EOFError) as error:
            raise SampleError(f"{array}: cannot be read as an array ({error}); write float [L, H, W] again") from error


def _check_whole(file: Path, read: int, limit: int | None) -> None:
    """Most containers say how long they are; a GIF ends with a byte of its own."""
    said = _promised(file)
    if said is not None and read < shortened(said, limit):
        raise SampleError(f"{file}: breaks off after {read} of {said} frames; copy or write it again")
    if file.suffix.lower() == ".gif" and not file.read_bytes().rstrip(b"\0").endswith(b";"):
        raise SampleError(f"{file}: breaks off after {read} frames; copy or write it again")


def _promised(file: Path) -> int | None:
    """Frames by the container's word; None where all it says is a length that may be its sound's."""
    import av

    with av.open(str(file)) as container:
        if container.streams.audio and not container.streams.video[0].frames:
            return None
    return probe(file).frames


def _is_companion(file: Path) -> bool:
    return file.name.endswith((_DEPTH_TRACK, _MASK_TRACK))


def _is_lossy(file: Path) -> bool:
    """Whether the video codec loses pixels, by its name; unreadable files are left for `read` to explain."""
    import av

    try:
        with av.open(str(file)) as container:
            return container.streams.video[0].codec_context.name not in _LOSSLESS
    except (av.FFmpegError, IndexError):
        return False
