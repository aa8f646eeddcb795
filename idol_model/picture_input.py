"""Pictures as people have them (grey, 16 bits, CMYK, palettes, turned by EXIF) as uint8 RGBA, without losing any."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Picture = Image.Image | NDArray[np.uint8]
"""A PIL picture of any mode, or uint8 [H, W], [H, W, 3] or [H, W, 4] (straight alpha)."""

_EIGHT_BITS = ("RGB", "RGBA", "L", "LA", "1", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La")


class PictureError(ValueError):
    """A picture that cannot be used as it is; the message says what to do."""


def as_rgba(picture: Picture) -> NDArray[np.uint8]:
    """``picture`` upright, as uint8 [H, W, 4] with straight alpha.

    16-bit grey keeps its whole range (65535 becomes 255).

    Raises:
        PictureError: the picture is empty, or of a kind whose range is not known (32-bit floats and integers).
    """
    rgba = _from_pil(picture) if isinstance(picture, Image.Image) else _from_array(np.asarray(picture))
    if 0 in rgba.shape:
        raise PictureError(f"the picture has {rgba.shape[1]} x {rgba.shape[0]} pixels; give one with at least 1 x 1")
    return rgba


def is_opaque(rgba_HW4: NDArray[np.uint8]) -> bool:
    """Whether nothing is cut out."""
    return bool((rgba_HW4[..., 3] == 255).all())


def _from_pil(picture: Image.Image) -> NDArray[np.uint8]:
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in _EIGHT_BITS:
        return np.asarray(upright.convert("RGBA"))
    values = np.asarray(upright)
    if upright.mode.startswith("I") and values.size and values.min() >= 0 and values.max() <= 65535:
        grey = np.rint(values.astype(np.float32) / 257).astype(np.uint8)
        return np.asarray(Image.fromarray(grey, "L").convert("RGBA"))
    raise PictureError(
        f"a picture of mode {upright.mode} has no known range from black to white; save it with 8 or 16 bits a channel"
    )


def _from_array(array: np.ndarray) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise PictureError(f"a picture array must be uint8 (0 to 255), got {array.dtype}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)
    if array.ndim != 3 or array.shape[-1] not in (3, 4):
        raise PictureError(f"a picture array must be [H, W], [H, W, 3] or [H, W, 4], got {array.shape}")
    if array.shape[-1] == 4:
        return array
    return np.concatenate([array, np.full_like(array[..., :1], 255)], axis=-1)
