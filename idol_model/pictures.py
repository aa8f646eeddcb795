"""Pictures and their tensors: crop, resize, mask. Every picture that reaches the model goes through here.

Pictures are uint8, channels last; with four channels the last is a straight (not premultiplied) alpha, 0 where a pixel
is removed. Masks act after normalisation: a removed pixel is 0 in the tensor, the mean colour of the normalisation and
not black (as in DisCo).
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

FOREGROUND_MARGIN = 0.05
"""Space left around the person's box on each side, as a share of its longer side."""


class ForegroundLook(Protocol):
    """What a foreground encoder says about the pictures it takes (`idol_model.foreground`)."""

    @property
    def input_size(self) -> int: ...
    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...


def centre_square(height: int, width: int) -> tuple[int, int, int]:
    """Top, left and side of the largest centred square: the one crop of every track (``docs/deviations.md``)."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side


def crop_square(array_LHW: np.ndarray) -> np.ndarray:
    """The centred square of [L, H, W, ...], contiguous."""
    top, left, side = centre_square(*array_LHW.shape[1:3])
    return np.ascontiguousarray(array_LHW[:, top : top + side, left : left + side])


def resize_pictures(pictures_LHW3: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Centred square of uint8 [L, H, W, 3], resized with antialiasing to [L, size, size, 3]."""
    square = crop_square(pictures_LHW3)
    if square.shape[1] == size:
        return square
    x_LCHW = torch.from_numpy(square).movedim(-1, 1)
    resized = F.interpolate(x_LCHW, size=(size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized.movedim(1, -1).numpy())


def resize_values(values_LHW: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Centred square of [L, H, W] resized by nearest neighbours, so that no value is invented at an edge."""
    square = crop_square(values_LHW)
    if square.shape[1] == size:
        return square
    x_LCHW = torch.from_numpy(square)[:, None]
    return F.interpolate(x_LCHW, size=(size, size), mode="nearest-exact")[:, 0].numpy()


def resize_background(picture_HWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Centred square of one background, uint8 [H, W, 3 or 4], as [size, size, 4]; three channels are opaque."""
    rgba = crop_square(_rgba(picture_HWC)[None])[0]
    if rgba.shape[0] == size:
        return rgba
    return np.asarray(Image.fromarray(rgba, "RGBA").resize((size, size), Image.Resampling.BILINEAR))


def crop_foreground(rgba_HW4: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The person's box, squared with a small margin and resized: uint8 [size, size, 4].

    The paper feeds the whole masked frame; a person is small in many frames and the encoder's patches are few
    (``docs/deviations.md``). What lies outside the picture is transparent.

    Raises:
        ValueError: no pixel is opaque.
    """
    ys, xs = np.nonzero(rgba_HW4[..., 3])
    if len(ys) == 0:
        raise ValueError("the foreground is transparent everywhere: nobody is on it; give a picture with a person")
    top, bottom, left, right = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
    half = max(bottom - top, right - left) * (0.5 + FOREGROUND_MARGIN)
    y, x = (top + bottom) / 2, (left + right) / 2
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    crop = Image.fromarray(rgba_HW4, "RGBA").crop(box)
    return np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))


def with_alpha(picture_HW3: NDArray[np.uint8], keep_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """[H, W, 3] and [H, W] -> [H, W, 4]: alpha 255 where ``keep``; black where not, so that nothing can leak."""
    keep = keep_HW[..., None]
    return np.concatenate([picture_HW3 * keep, keep * np.uint8(255)], axis=-1)


def signed(pictures_LHW3: NDArray[np.uint8]) -> Tensor:
    """uint8 [..., H, W, 3] -> float32 [..., 3, H, W] in [-1, 1]."""
    return unsigned(pictures_LHW3) * 2 - 1


def unsigned(pictures_LHW3: NDArray[np.uint8]) -> Tensor:
    """uint8 [..., H, W, 3] -> float32 [..., 3, H, W] in [0, 1]."""
    turned = torch.from_numpy(np.moveaxis(np.require(pictures_LHW3, requirements="W"), -1, -3))
    # One pass that turns and widens: a third of the time of three.
    return turned.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def background_tensor(rgba_HW4: NDArray[np.uint8]) -> Tensor:
    """uint8 [..., H, W, 4] -> float32 [..., 3, H, W] in [-1, 1], 0 (mid grey) where removed."""
    return signed(rgba_HW4[..., :3]) * unsigned(rgba_HW4[..., 3:])


def foreground_tensor(rgba_SS4: NDArray[np.uint8], look: ForegroundLook) -> Tensor:
    """uint8 [..., S, S, 4] -> float32 [..., 3, S, S], normalised for the encoder, 0 where removed."""
    mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (look.mean, look.std))
    return (unsigned(rgba_SS4[..., :3]) - mean) / std * unsigned(rgba_SS4[..., 3:])


def _rgba(picture_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture_HWC.shape[-1] == 4:
        return picture_HWC
    return with_alpha(picture_HWC, np.ones(picture_HWC.shape[:2], dtype=bool))
