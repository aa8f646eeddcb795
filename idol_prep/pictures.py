"""Reading single pictures of any common kind, or refusing them in one line."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from idol_prep._errors import DataError

_PLAIN = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
_ORIENTATION = 0x0112

MAX_PIXELS = 100_000_000
"""Pictures beyond this are refused before they are decoded."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture file that lies in memory, as a member of an archive does; ``name`` is what errors call it."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


def picture_size(path: Path | Encoded) -> tuple[int, int]:
    """Height and width of the upright picture. Raises `DataError` where it is no picture or too large."""
    with _opened(path) as image:
        return image.height, image.width


def read_rgb(path: Path | Encoded) -> NDArray[np.uint8]:
    """A picture as RGB uint8 [H,W,3]: grey is repeated, 16 bits lose their lower 8, palettes and CMYK are converted.

    Raises `DataError` for what is no picture, is too large, or is really transparent.
    """
    with _opened(path) as image:
        if image.mode.startswith("I"):
            return np.repeat(_to_8_bits(np.asarray(image))[..., None], 3, axis=-1)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            _refuse_transparency(path, image)
        return np.array(image.convert("RGB"))


def plain_suffix(picture: Encoded) -> str | None:
    """``.jpg``, ``.png`` or ``.webp`` where the file as it is decodes to the upright RGB picture; None elsewhere."""
    with _opened(picture, whole=False) as image:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        plain = image.mode == "RGB" and "transparency" not in image.info and not turned
        return _PLAIN.get(image.format or "") if plain and getattr(image, "n_frames", 1) == 1 else None


def read_mask(path: Path | Encoded) -> NDArray[np.uint8]:
    """A mask as coverage uint8 [H,W], 255 for the person; 0/1 masks are stretched, colour becomes grey."""
    with _opened(path) as image:
        mask = _to_8_bits(np.asarray(image)) if image.mode.startswith("I") else np.array(image.convert("L"))
    return mask * np.uint8(255) if mask.size and mask.max() == 1 else mask


def read_depth(path: Path) -> NDArray[np.float32]:
    """Depth [H,W] of a ``.png`` (16 bits, 0 is no value), ``.npy`` or ``.txt`` file; NaN where there is no value."""
    if path.suffix == ".png":
        with _opened(path) as image:
            depth = np.asarray(image).astype(np.float32)
    else:
        depth = _read_numbers(path)
    if depth.ndim != 2:
        raise DataError(f"{path}: depth has the shape {depth.shape}; one value a pixel [H,W] is needed")
    return np.where(np.isfinite(depth) & (depth != 0), depth, np.float32(np.nan))


@contextmanager
def _opened(path: Path | Encoded, *, whole: bool = True) -> Iterator[Image.Image]:
    """The decoded picture, upright as its EXIF says, or (not ``whole``) its header alone.

    Whatever is wrong with the file becomes a `DataError`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(path.data) if isinstance(path, Encoded) else path)
        with image:
            _check_size(path, image.size)
            if whole:
                image.load()
            yield ImageOps.exif_transpose(image) if whole else image
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: has too many pixels, at most {MAX_PIXELS:,} are read; scale it down") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read as a picture; copy it again, or leave it out") from error


def _check_size(path: Path | Encoded, size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    if not 0 < pixels <= MAX_PIXELS:
        fix = "scale it down" if pixels else "it is empty: copy it again"
        raise DataError(f"{path}: has {size[0]} x {size[1]} pixels, 1 to {MAX_PIXELS:,} are read; {fix}")


def _refuse_transparency(path: Path | Encoded, image: Image.Image) -> None:
    if image.convert("RGBA").getextrema()[3][0] < 255:  # type: ignore[index]
        raise DataError(f"{path}: is partly transparent; flatten it onto its background first")


def _to_8_bits(picture: NDArray) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 65535).astype(np.uint16) >> 8).astype(np.uint8)


def _read_numbers(path: Path) -> NDArray[np.float32]:
    try:
        numbers = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _read_text(path)
        return np.asarray(numbers, dtype=np.float32)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an array of numbers ({error})") from error


def _read_text(path: Path) -> NDArray[np.float32]:
    """A text file as HDNet writes it: one row of the picture a line, commas or blanks between."""
    text = path.read_text()
    return np.loadtxt(text.replace(",", " ").splitlines(), dtype=np.float32, ndmin=2)
