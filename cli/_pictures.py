"""Pictures that the user names: read with care, cut out where they are not cut out yet."""

import warnings
from pathlib import Path
from typing import Any

from cli._output import Output

MOST_PIXELS = 100_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_LEAST_PERSON = 0.002
"""Share of the picture below which a found person is a false alarm."""


def read_rgba(path: Path) -> Any:
    """uint8 [H, W, 4], upright, whatever the file's mode.

    Raises FileNotFoundError, or PictureError with the file's name: unreadable, damaged, empty, too large.
    """
    from PIL import Image, UnidentifiedImageError

    from idol_model.picture_input import PictureError, as_rgba

    if path.is_dir():
        raise PictureError(f"{path}: is a folder, a picture was expected")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below, by one limit
            with Image.open(path) as picture:
                _check_size(picture.size)
                return as_rgba(picture)
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: more than {MOST_PIXELS // 10**6} million pixels; scale it down first") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path}: not a readable picture; give a PNG, JPEG or WebP file") from None
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise PictureError(f"{path}: the picture is damaged ({error}); copy or save it again") from None


def foreground(path: Path, mask: Path | None, out: Output) -> Any:
    """The person alone, uint8 [H, W, 4]: by the given mask, by the picture's own alpha, or by the mask found in it."""
    from idol_model.picture_input import PictureError, is_opaque
    from idol_model.pictures import with_alpha

    rgba = read_rgba(path)
    if mask is not None:
        keep = _read_mask(mask, rgba.shape[:2]) & (rgba[..., 3] > 127)
        out.note(f"foreground  cut out by {mask}")
    elif not is_opaque(rgba):
        keep = rgba[..., 3] > 127
        out.note("foreground  cut out by the picture's own transparency")
    else:
        keep = _found_person(path, rgba[..., :3])
        out.note(f"foreground  cut out by the mask found in it ({keep.mean():.0%} of the picture)")
    if not keep.any():
        raise PictureError(f"{mask or path}: everything is cut out; the person must be opaque (white in a mask)")
    return with_alpha(rgba[..., :3], keep)


def _check_size(size: tuple[int, int]) -> None:
    from idol_model.picture_input import PictureError

    width, height = size
    if width * height > MOST_PIXELS:
        raise PictureError(f"{width} x {height} pixels are too many (most: {MOST_PIXELS:,}); scale it down first")


def _read_mask(path: Path, size: tuple[int, int]) -> Any:
    from idol_model.picture_input import PictureError, is_opaque

    rgba = read_rgba(path)
    if rgba.shape[:2] != size:
        raise PictureError(
            f"{path}: the mask is {rgba.shape[1]} x {rgba.shape[0]}, its picture {size[1]} x {size[0]}; "
            "they must have one size"
        )
    return (rgba[..., :3].max(axis=-1) if is_opaque(rgba) else rgba[..., 3]) > 127


def _found_person(path: Path, rgb: Any) -> Any:
    """The main person's pixels, bool [H, W], by the offline annotator."""
    import numpy as np

    from cli._people import find_mask
    from idol_model.picture_input import PictureError

    keep = find_mask(np.ascontiguousarray(rgb)) > 127
    if keep.mean() < _LEAST_PERSON:
        raise PictureError(f"{path}: no person found in it; give a picture with transparency, or name a --mask")
    return keep
