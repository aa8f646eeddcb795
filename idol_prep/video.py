"""Video in and out: any file to upright RGB frames, lossless tracks (FFV1), and small H.264 previews."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from idol_prep._ffv1 import Layout, TrackError, packets_of, pick_ffv1, read_ffv1, write_ffv1

__all__ = [
    "Layout",
    "TrackError",
    "VideoInfo",
    "pick_ffv1",
    "probe",
    "read_ffv1",
    "read_timed",
    "read_video",
    "write_ffv1",
    "write_mp4",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a video file says about itself. Height and width are those of the upright picture."""

    height: int
    width: int
    fps: float
    frames: int | None
    """Frame count by the container, None where it does not say (then only decoding tells)."""
    seconds: float | None
    """Length by the container, None where it does not say."""
    rotation: int
    """Degrees the stored picture is turned; already undone in height, width and `read_video`."""


def probe(path: Path | BinaryIO, name: str = "") -> VideoInfo:
    """Size, rate and length of the first video stream, by decoding one frame. ``name`` is for errors of open files.

    Raises `FileNotFoundError`, or `TrackError` where the file holds no readable video.
    """
    words = name or str(path)
    with _open(path, words) as container:
        stream = container.streams.video[0]
        frame = next(_decoded(container, words), None)
        if frame is None:
            raise TrackError(f"{words}: holds no decodable frame; is the file complete?")
        rotation = _quarter_turns(frame) * 90
        height, width = frame.height, frame.width
        if rotation % 180:
            height, width = width, height
        rate = stream.average_rate or stream.guessed_rate or Fraction(30)
        length = _length(container, stream)
        return VideoInfo(
            height=height,
            width=width,
            fps=float(rate),
            frames=stream.frames or (None if length is None else round(length * rate)),
            seconds=None if length is None else float(length),
            rotation=rotation,
        )


def read_video(
    path: Path | BinaryIO, *, start: int = 0, stop: int | None = None, step: int = 1, name: str = ""
) -> Iterator[NDArray[np.uint8]]:
    """Yield upright RGB frames [H,W,3] number ``start``, ``start + step``, ... below ``stop`` in display order.

    Memory stays at one frame. A file that breaks off in the middle yields what it holds, then raises `TrackError`.
    """
    yield from (frame for frame, _ in read_timed(path, start=start, stop=stop, step=step, name=name))


def read_timed(
    path: Path | BinaryIO, *, start: int = 0, stop: int | None = None, step: int = 1, name: str = ""
) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
    """As `read_video`, each frame with the second at which it is shown; None where the file does not say."""
    words = name or str(path)
    if start < 0 or step < 1:
        raise TrackError(f"{words}: start {start} and step {step} must be at least 0 and 1")
    with _open(path, words) as container:
        container.streams.video[0].thread_type = "AUTO"
        for index, frame in enumerate(_decoded(container, words)):
            if stop is not None and index >= stop:
                return
            if index >= start and (index - start) % step == 0:
                picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield np.ascontiguousarray(np.rot90(picture, _quarter_turns(frame))), frame.time


def write_mp4(path: Path, frames: Iterable[np.ndarray], fps: float, *, crf: int = 18) -> None:
    """Write uint8 RGB frames [L,H,W,3] as H.264 (yuv420p), to look at, not to measure.

    Odd sides are padded by one repeated row or column, which this pixel format needs.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise TrackError(f"{path}: no frames to write")
    height, width = np.shape(first)[:2]
    with open(path, "wb") as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        for array in chain((first,), iterator):
            padded = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), "rgb24")))
        container.mux(stream.encode(None))


def _open(path: Path | BinaryIO, words: str) -> InputContainer:
    if isinstance(path, str | Path) and not Path(path).is_file():
        raise FileNotFoundError(f"{words}: no such video file")
    try:
        container = av.open(str(path) if isinstance(path, str | Path) else path, "r")
    except av.FFmpegError as error:
        raise TrackError(f"{words}: is not a readable video ({error.strerror})") from error
    if not container.streams.video:
        container.close()
        raise TrackError(f"{words}: holds no video stream")
    return container


def _decoded(container: InputContainer, words: str) -> Iterator[av.VideoFrame]:
    try:
        with packets_of(container, container.streams.video[0]) as packets:
            for packet in packets:
                yield from packet.decode()
    except av.FFmpegError as error:
        raise TrackError(f"{words}: breaks off or is damaged ({error.strerror})") from error


def _quarter_turns(frame: av.VideoFrame) -> int:
    """How many counter-clockwise quarter turns make the stored picture upright."""
    return round((getattr(frame, "rotation", 0) or 0) / 90) % 4


def _length(container: InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Seconds by the container's head."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None
