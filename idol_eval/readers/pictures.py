"""Folders of pictures, one a clip."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_eval.readers.tracks import LOSSY_PICTURES, picture_files, read_picture, stacked, subfolders
from idol_eval.samples import EvalClip, SampleError


class PictureSet:
    """One folder of pictures a clip; beside the frames, folders ``depth`` (8 or 16-bit grey) and ``mask``."""

    def __init__(self, path: Path, folders: dict[str, Path]) -> None:
        self.path, self._folders = path, folders
        self.lossy = any(
            file.suffix.lower() in LOSSY_PICTURES for folder in folders.values() for file in picture_files(folder)
        )

    @classmethod
    def find(cls, path: Path) -> "PictureSet | None":
        """The picture folders in ``path``, or the one that it is."""
        if not path.is_dir():
            return None
        if picture_files(path):
            return cls(path, {path.resolve().name: path})
        folders = {folder.name: folder for folder in subfolders(path) if picture_files(folder)}
        return cls(path, folders) if folders else None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        folder = self._folders[id]
        files = picture_files(folder)[:frames]
        return EvalClip(
            id=id,
            video=stacked([read_picture(file, "RGB") for file in files], folder),
            depth=_grey_track(folder / "depth", frames),
            mask=_mask_track(folder / "mask", frames),
        )

    def describe(self) -> dict[str, Any]:
        return {"kind": "picture folders", "path": str(self.path), "clips": len(self.ids), "lossy": self.lossy}


def _grey_track(folder: Path, limit: int | None) -> NDArray[np.float32] | None:
    files = picture_files(folder)[:limit]
    if not files:
        return None
    frames = []
    for file in files:
        values = read_picture(file)
        if values.ndim != 2:
            raise SampleError(f"{file}: depth must be grey with 8 or 16 bits, this has {values.shape[-1]} channels")
        frames.append(values.astype(np.float32) / (255 if values.dtype == np.uint8 else 65535))
    return stacked(frames, folder)


def _mask_track(folder: Path, limit: int | None) -> NDArray[np.uint8] | None:
    frames = [(read_picture(file, "L") > 127).astype(np.uint8) for file in picture_files(folder)[:limit]]
    return stacked(frames, folder) if frames else None
