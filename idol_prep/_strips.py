"""A clip at a glance: three of its frames with mask and pose, and the depth of the middle one, as one small picture."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep import colormap
from idol_prep.pose import render
from idol_prep.schema import Clip, DataError, Dataset

HEIGHT = 80
"""Of a strip, in pixels."""

_AT = (1 / 6, 1 / 2, 5 / 6)
"""Where in a clip its frames are taken."""
_QUALITY = 55
_THREADS = 8
"""At most: decoding lets other threads run, drawing poses does not."""


def strips(dataset: Dataset, ids: Sequence[str]) -> Iterator[bytes | str]:
    """The strip of each of these clips in their order, as WebP; for a clip that cannot be read, why."""

    def one(clip_id: str) -> bytes | str:
        try:
            return _encoded(strip(dataset.clip(clip_id)))
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), "idol-prep-strip") as pool:
        yield from pool.map(one, ids)


def strip(clip: Clip) -> NDArray[np.uint8]:
    """Three frames with mask and pose, then the middle one's depth, side by side: uint8 [80,W,3].

    Everything is drawn at this size. Raises `DataError` for a clip that cannot be read.
    """
    length = clip.record.frames
    numbers = [min(int(part * length), length - 1) for part in _AT]
    masks = clip.mask_at(numbers)
    tiles = [*_overlays(clip, numbers, masks)]
    if clip.record.depth is not None:
        middle = len(numbers) // 2
        tiles.append(_depth(clip, numbers[middle], masks[middle : middle + 1]))
    return np.concatenate(tiles, axis=1)


def _overlays(clip: Clip, numbers: list[int], masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames [n,80,W,3] with what lies outside the mask darkened to a third, and the pose drawn over."""
    frames = clip.frames_at(numbers)
    _, height, width, _ = frames.shape
    pose = render(clip.keypoints().at(numbers), _size(frames[0]), (height, width))
    inside = np.stack([_small((mask > 0) * np.uint8(255)) for mask in masks])[..., None] * np.float32(1 / 255)
    shown = np.stack([_small(frame) for frame in frames]) * (np.float32(1 / 3) + np.float32(2 / 3) * inside)
    drawn = (pose[..., 0] | pose[..., 1] | pose[..., 2])[..., None] > 0
    return np.where(drawn, pose, shown.astype(np.uint8))


def _depth(clip: Clip, number: int, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The depth of one frame in colours [80,W,3]; ``mask`` is [1,H,W]."""
    assert clip.record.depth is not None
    name = "hot" if clip.record.depth.scope == "person" else "gray"
    return _small(colormap.encode(clip.record.depth.normalise(clip.depth(number, number + 1), mask), name)[0])


def _size(picture: NDArray) -> tuple[int, int]:
    """Height and width in the strip."""
    height, width = picture.shape[:2]
    return HEIGHT, max(1, round(width * HEIGHT / height))


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = _size(picture)
    reduced = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(reduced)


def _encoded(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="WEBP", quality=_QUALITY, method=2)
    return stream.getvalue()
