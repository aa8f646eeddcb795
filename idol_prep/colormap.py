"""Depth as colours and back: two 256-entry lookup tables, shared by preparation, model and evaluation.

``hot`` runs black, red, yellow, white, and is the 256-entry map of that name in matplotlib; ``gray`` is
value = R = G = B. Both are invertible: all 256 colours of ``hot`` differ and their channel sum only grows. `decode`
finds the nearest colour of the table, so a depth survives encoding to within half a step (1/510).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

ColormapName = Literal["hot", "gray"]
NAMES: tuple[ColormapName, ...] = ("hot", "gray")

# Channel values of "hot" at its corners, as matplotlib publishes them.
_HOT_RED = ((0.0, 0.0416), (0.365079, 1.0), (1.0, 1.0))
_HOT_GREEN = ((0.0, 0.0), (0.365079, 0.0), (0.746032, 1.0), (1.0, 1.0))
_HOT_BLUE = ((0.0, 0.0), (0.746032, 0.0), (1.0, 1.0))
_CHUNK = 1 << 15


@lru_cache
def table(name: ColormapName = "hot") -> NDArray[np.uint8]:
    """The lookup table, uint8 [256,3]. Raises `ValueError` for an unknown name."""
    if name not in NAMES:
        raise ValueError(f"unknown colormap {name!r}; choose one of {', '.join(NAMES)}")
    if name == "gray":
        lut = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    else:
        grid = np.linspace(0.0, 1.0, 256)
        corners = (_HOT_RED, _HOT_GREEN, _HOT_BLUE)
        channels = [np.interp(grid, [x for x, _ in c], [y for _, y in c]) for c in corners]
        # Cut off, not rounded: the bytes that matplotlib itself writes.
        lut = (np.stack(channels, axis=-1) * 255).astype(np.uint8)
    lut.setflags(write=False)
    return lut


def encode(depth: ArrayLike, name: ColormapName = "hot") -> NDArray[np.uint8]:
    """Colours uint8 [...,3] of values [...] in [0,1]. Values outside and NaN raise `ValueError`."""
    values = np.asarray(depth, dtype=np.float32)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"depth to colour must lie in [0, 1], found {values.min():.4g} to {values.max():.4g}; "
            "normalise it first (DepthRange.normalise)"
        )
    return table(name)[np.rint(values * 255).astype(np.uint8)]


def decode(rgb: ArrayLike, name: ColormapName = "hot") -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values in [0,1] and residuals of colours [...,3] in 0..255 (integers or floats), both float32 [...].

    The value is that of the nearest table colour (Euclidean in RGB), hence a multiple of 1/255. The residual is the
    distance to that colour / 255: 0 on the table, and the larger, the less the colour is to be trusted as depth.
    """
    colours = np.asarray(rgb)
    if colours.ndim < 1 or colours.shape[-1] != 3:
        raise ValueError(f"colours must end in an axis of 3, got shape {colours.shape}")
    flat = colours.reshape(-1, 3).astype(np.float32)
    index = np.concatenate([_nearest(flat[i : i + _CHUNK], name) for i in range(0, len(flat), _CHUNK)] or [[]])
    index = index.astype(np.intp)
    distance = np.linalg.norm(flat - table(name)[index].astype(np.float32), axis=-1)
    shape = colours.shape[:-1]
    return (index / 255).astype(np.float32).reshape(shape), (distance / 255).astype(np.float32).reshape(shape)


def _nearest(colours: NDArray[np.float32], name: ColormapName) -> NDArray[np.intp]:
    """Index of each row's nearest table colour: argmin |c - l|^2 = argmin |l|^2 - 2 c.l, one matrix product."""
    lut = table(name).astype(np.float32)
    return np.argmin((lut**2).sum(-1) - 2 * (colours @ lut.T), axis=1)
