"""Folders of pictures, one a clip."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from idol_eval.readers.numbering import check_frames
from idol_eval.readers.tracks import (
    LOSSY_PICTURES,
    picture_files,
    read_grey,
    read_mask,
    read_rgb,
    stacked,
    subfolders,
)
from idol_eval.samples import EvalClip, SampleError

T = TypeVar("T", bound=np.generic)


class PictureSet:
    """One folder of pictures a clip; beside the frames, folders ``depth`` (8 or 16-bit grey) and ``mask``.

    Raises SampleError for a folder that is no whole clip by its files' names (`check_frames`).
    """

    def __init__(self, path: Path, folders: dict[str, Path]) -> None:
        self.path, self._folders = path, folders
        frames = [picture_files(folder) for folder in folders.values()]
        companions = [picture_files(folder / name) for folder in folders.values() for name in ("depth", "mask")]
        for files in (*frames, *companions):
            check_frames(files)
        self.lossy = any(file.suffix.lower() in LOSSY_PICTURES for files in frames for file in files)

    @classmethod
    def find(cls, path: Path) -> "PictureSet | None":
        """The picture folders in ``path``, or the one that it is. Raises SampleError where some are empty."""
        if not path.is_dir():
            return None
        if picture_files(path):
            return cls(path, {path.resolve().name: path})
        folders = {folder.name: folder for folder in subfolders(path)}
        empty = [name for name, folder in folders.items() if not picture_files(folder)]
        if len(empty) == len(folders):
            return None
        if empty:
            raise SampleError(f"{path / empty[0]}: holds no pictures and so is no clip; move it away or complete it")
        return cls(path, folders)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        folder = self._folders[id]
        return EvalClip(
            id=id,
            video=_track(folder, frames, read_rgb),
            depth=_track(folder / "depth", frames, read_grey),
            mask=_track(folder / "mask", frames, read_mask),
        )

    def describe(self) -> dict[str, Any]:
        return {"kind": "picture folders", "path": str(self.path), "clips": len(self.ids), "lossy": self.lossy}


def _track(folder: Path, limit: int | None, read: Callable[[Path], NDArray[T]]) -> NDArray[T] | None:
    frames = [read(file) for file in picture_files(folder)[:limit]]
    return stacked(frames, folder) if frames else None
