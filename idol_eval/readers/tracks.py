"""What the readers share: folders, single pictures, lossless tracks."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_eval.readers.numbering import parts
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
    return sorted(files, key=parts)


def stacked(frames: list[NDArray], folder: Path) -> NDArray:
    """Frames of one size as one array. Raises SampleError where sizes differ."""
    sizes = {frame.shape for frame in frames}
    if len(sizes) > 1:
        raise SampleError(f"{folder}: frames of different sizes {sorted(sizes)}; make them equal")
    return np.stack(frames)


def read_rgb(file: Path) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of a picture of 8 bits; one whose conversion would lose something is refused."""
    picture = _opened(file, ("RGB", "L", "P", "1", "RGBA"), "write 8-bit RGB")
    if "transparency" in picture.info or picture.mode == "RGBA":
        alpha = picture.convert("RGBA").getchannel("A").getextrema()
        if alpha != (255, 255):
            raise SampleError(f"{file}: has transparent pixels; lay it over a background and write 8-bit RGB")
    return np.asarray(picture.convert("RGB"))


def read_grey(file: Path) -> NDArray[np.float32]:
    """float32 [H, W] in 0..1 of a grey picture of 8 or 16 bits."""
    values = np.asarray(_opened(file, ("L", "I;16", "I;16B", "I"), "depth must be grey with 8 or 16 bits"))
    return values.astype(np.float32) / (255 if values.dtype == np.uint8 else 65535)


def read_mask(file: Path) -> NDArray[np.uint8]:
    """uint8 [H, W], 1 where a grey picture is brighter than half."""
    picture = _opened(file, ("L", "1", "RGB", "P"), "a mask must be grey with 8 bits")
    return (np.asarray(picture.convert("L")) > 127).astype(np.uint8)


def _opened(file: Path, modes: tuple[str, ...], fix: str) -> Image.Image:
    try:
        with Image.open(file) as picture:
            picture.load()
    except OSError as error:
        raise SampleError(f"{file}: cannot be read ({error}); is it a whole picture?") from error
    if picture.mode not in modes:
        raise SampleError(f"{file}: its pixels are {picture.mode!r}; {fix}")
    return picture


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
