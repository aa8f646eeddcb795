"""Video containers that published protocols send frames through, emulated in memory: they change every score.

A container takes a window uint8 [T, H, W, 3] and gives what its reader would show, possibly of another length.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Container = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
_GIF_REPEATS = 8
"""A GIF of 3 fps read through ffmpeg's raw-video pipe at 25 fps: 16 frames come back as 128 (DisCo issue 36)."""


def none(window_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As it is."""
    return window_THW3


def gif(window_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """256 colours a frame by Pillow's adaptive palette without dithering, each frame shown eight times."""
    frames = [
        np.asarray(Image.fromarray(frame).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).convert("RGB"))
        for frame in window_THW3
    ]
    return np.repeat(np.stack(frames), _GIF_REPEATS, axis=0)


def mp4(window_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H.264 in yuv420p at crf 25, imageio's default quality. Odd sides are padded and cut again."""
    import io

    import av

    height, width = window_THW3.shape[1:3]
    even = np.pad(window_THW3, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=3)
        stream.width, stream.height, stream.pix_fmt = even.shape[2], even.shape[1], "yuv420p"
        stream.options = {"crf": "25"}
        for frame in even:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        target.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        shown = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in source.decode(video=0)]
    return np.stack(shown)[:, :height, :width]


CONTAINERS: Mapping[str, Container] = MappingProxyType({"none": none, "gif-3fps": gif, "mp4-imageio": mp4})
"""By the names that protocols use."""
