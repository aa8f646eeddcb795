"""What the readers share: folders, single pictures, lossless tracks."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_eval.samples import SampleError
from idol_prep.video import probe, read_ffv1

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
LOSSY_PICTURES = (".jpg", ".jpeg", ".webp")


def subfolders(path: Path) -> list[Path]:
    """Visible folders in ``path``, by name; none where it is a file."""
    return (
        sorted(folder for folder in path.iterdir() if folder.is_dir() and folder.name[0] != ".")
        if path.is_dir()
        else []
    )


def picture_files(folder: Path) -> list[Path]:
    """Picture files in the order of the numbers in their names."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in PICTURES] if folder.is_dir() else []
    return sorted(
        files, key=lambda file: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.stem)]
    )


def stacked(frames: list[NDArray], folder: Path) -> NDArray:
    """Frames of one size as one array. Raises SampleError where sizes differ."""
    sizes = {frame.shape for frame in frames}
    if len(sizes) > 1:
        raise SampleError(f"{folder}: frames of different sizes {sorted(sizes)}; make them equal")
    return np.stack(frames)


def read_picture(file: Path, mode: str | None = None) -> NDArray:
    """Pixels of one picture, converted to ``mode`` where given."""
    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert(mode) if mode else picture)
    except OSError as error:
        raise SampleError(f"{file}: cannot be read ({error}); is it a whole picture?") from error


def read_track(file: Path, limit: int | None) -> NDArray | None:
    """The first ``limit`` frames of a lossless track, all where it has fewer; None where there is no file."""
    if not file.is_file():
        return None
    if limit is None:
        return read_ffv1(file)
    count = probe(file).frames
    return read_ffv1(file, 0, limit if count is None else shortened(count, limit))


def shortened(frames: int, limit: int | None) -> int:
    """The number of frames that are read of ``frames``."""
    return frames if limit is None else min(frames, limit)
