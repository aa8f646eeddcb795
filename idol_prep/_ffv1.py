"""Lossless seekable tracks: FFV1 level 3 in Matroska, every frame a key frame, four slices.

Three layouts, all bit-exact both ways: ``rgb`` (uint8 [H,W,3], stored as bgr0), ``gray`` (uint8 [H,W]) and
``gray16`` (uint16 [H,W], little endian). Files carry no dates and no random ids: the same frames give the same bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av import Packet
from av.container import InputContainer
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from idol_prep._errors import DataError

Layout = Literal["rgb", "gray", "gray16"]

_PIX_FMT: dict[Layout, str] = {"rgb": "bgr0", "gray": "gray", "gray16": "gray16le"}
_LAYOUT: dict[str, Layout] = {fmt: layout for layout, fmt in _PIX_FMT.items()}
_DTYPE: dict[Layout, np.dtype] = {
    "rgb": np.dtype(np.uint8),
    "gray": np.dtype(np.uint8),
    "gray16": np.dtype("<u2"),
}
_ENCODER = {"level": "3", "slices": "4", "slicecrc": "1", "flags": "+bitexact"}


class TrackError(DataError):
    """A lossless track that cannot be written or read as asked."""


def write_ffv1(path: Path, frames: Iterable[np.ndarray], layout: Layout = "rgb", fps: float = 30.0) -> int:
    """Write ``frames`` to ``path`` and return how many there were.

    ``frames`` may be an array [L,...] or any iterable of frames; memory stays at one frame. Raises `TrackError` for an
    empty track, a wrong shape or type, or a size that changes on the way; `OSError` where the disk refuses.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise TrackError(f"{path}: no frames to write")
    height, width = np.shape(first)[:2]
    expected = (height, width, 3) if layout == "rgb" else (height, width)
    count = 0
    # A Python file object, because its errors (a full disk) reach us; FFmpeg's own writer may keep them to itself.
    with (
        open(path, "wb") as file,
        av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream("ffv1", rate=_rate(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, _PIX_FMT[layout]
        stream.options = dict(_ENCODER)
        stream.codec_context.gop_size = 1
        stream.codec_context.thread_count, stream.codec_context.thread_type = 2, "SLICE"  # the same bytes, sooner
        for count, array in enumerate(chain((first,), iterator), start=1):
            if np.shape(array) != expected or np.asarray(array).dtype != _DTYPE[layout]:
                raise TrackError(
                    f"{path}: frame {count - 1} is {np.asarray(array).dtype} {np.shape(array)}, "
                    f"expected {_DTYPE[layout]} {expected}"
                )
            frame = _to_frame(np.asarray(array), layout)
            frame.pts = count - 1
            frame.time_base = 1 / _rate(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return count


def read_ffv1(path: Path, start: int = 0, stop: int | None = None) -> NDArray:
    """Frames ``start`` to ``stop`` (exclusive; None: to the end) as one array [L,H,W,3] or [L,H,W].

    A window costs its own frames only: the file is entered by seeking, which is exact as every frame is a key frame.
    Raises `FileNotFoundError`, or `TrackError` for a range the track does not hold and for a damaged file.
    """
    if start < 0 or (stop is not None and stop <= start):
        raise TrackError(f"{path}: frames {start}:{stop} is no range; use 0 <= start < stop")
    with _opened(path) as track:
        frames = list(track.frames(start, stop))
    if not frames or (stop is not None and len(frames) != stop - start):
        raise TrackError(f"{path}: holds {start + len(frames)} frames, asked for {start}:{stop}")
    return np.stack(frames)


def pick_ffv1(path: Path, numbers: Sequence[int]) -> NDArray:
    """Single frames by their numbers, [n,H,W,3] or [n,H,W]; the file is opened once. Raises as `read_ffv1` does."""
    with _opened(path) as track:
        frames = [frame for number in numbers for frame in track.frames(number, number + 1)]
    if not frames or len(frames) != len(numbers):
        raise TrackError(f"{path}: does not hold all of the frames {list(numbers)}")
    return np.stack(frames)


def count_ffv1(path: Path) -> tuple[int, int, int]:
    """Frames, height and width of a track, by its packets alone. Raises `TrackError` for a damaged file."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            packets = sum(packet.size > 0 for packet in container.demux(stream))
            return packets, stream.height, stream.width
    except av.FFmpegError as error:
        raise TrackError(f"{path}: cannot be read ({error.strerror}); prepare this clip again") from error


def packets_of(container: InputContainer, stream: VideoStream) -> closing[Generator[Packet, None, None]]:
    """The stream's packets, in a ``with``: PyAV never frees what it holds of a generator left without being closed."""
    return closing(cast("Generator[Packet, None, None]", container.demux(stream)))


@dataclass(frozen=True, slots=True)
class _Track:
    """An open track."""

    container: InputContainer
    stream: VideoStream
    layout: Layout
    ticks: Fraction
    """Of the stream's clock, a frame."""

    def frames(self, start: int, stop: int | None) -> Iterator[NDArray]:
        """Arrays of the frames in [start, stop), entered by seeking; none behind them is decoded."""
        self.container.seek(round(start * self.ticks), stream=self.stream, backward=True)
        with packets_of(self.container, self.stream) as packets:
            for frame in (frame for packet in packets for frame in packet.decode()):
                index = round(frame.pts / self.ticks) if frame.pts is not None else 0
                if start <= index and (stop is None or index < stop):
                    yield _to_array(frame, self.layout)
                if stop is not None and index >= stop - 1:
                    return


@contextmanager
def _opened(path: Path) -> Iterator[_Track]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such track")
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            rate, base = stream.average_rate, stream.time_base
            if rate is None or base is None or stream.pix_fmt not in _LAYOUT:
                raise TrackError(f"{path}: is no lossless track ({stream.pix_fmt})")
            yield _Track(container, stream, _LAYOUT[stream.pix_fmt], 1 / (rate * base))
    except av.FFmpegError as error:
        raise TrackError(f"{path}: cannot be decoded ({error.strerror}); prepare this clip again") from error


def _rate(fps: float) -> Fraction:
    """``fps`` as the fraction a container stores (29.97... becomes 30000/1001)."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    return ntsc if abs(float(ntsc) - fps) < 1e-4 * fps else Fraction(fps).limit_denominator(1000)


def _plane(frame: av.VideoFrame, layout: Layout) -> NDArray:
    """The frame's only plane as a view [H, padded row]."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, dtype=_DTYPE[layout])  # type: ignore[arg-type]
    return rows.reshape(frame.height, -1) if rows.size % frame.height == 0 else _trim(rows, plane, frame)


def _trim(rows: NDArray, plane: VideoPlane, frame: av.VideoFrame) -> NDArray:
    """Rows of a plane whose buffer is longer than its picture."""
    stride = plane.line_size // rows.itemsize
    return rows[: stride * frame.height].reshape(frame.height, stride)


def _to_frame(array: np.ndarray, layout: Layout) -> av.VideoFrame:
    height, width = array.shape[:2]
    frame = av.VideoFrame(width, height, _PIX_FMT[layout])
    plane = _plane(frame, layout)
    if layout == "rgb":
        pixels = plane.reshape(height, -1, 4)
        pixels[:, :width, :3] = array[..., ::-1]
        pixels[:, :width, 3] = 0
    else:
        plane[:, :width] = array
    return frame


def _to_array(frame: av.VideoFrame, layout: Layout) -> np.ndarray:
    plane = _plane(frame, layout)
    if layout == "rgb":
        return np.ascontiguousarray(plane.reshape(frame.height, -1, 4)[:, : frame.width, 2::-1])
    return np.array(plane[:, : frame.width])
