"""Frames on their way in: read ahead on a thread, seen small by the annotators, and once more in full by the crop.

A clip is looked at twice: once to find the person, once to cut him out, since the box depends on every frame. Where a
clip's frames fit into `REPLAY_BYTES` they are kept in between; larger clips are decoded a second time. Memory is
bounded either way.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep._stream import FrameStream
from idol_prep.cuts import LOOK_AHEAD, CutFinder
from idol_prep.sources import RawClip, RawFrame

CHUNK = 8
"""Frames that travel together, unless an annotator on a GPU asks for more."""
REPLAY_BYTES = 1 << 30
"""Source frames of one clip kept in memory between the two looks."""

_AHEAD = 2
_ANNOTATE_SIDE = 360
"""Shorter side, in pixels, below which frames are not reduced for the annotators.

A person who fills the picture still has more pixels than the 256 a side that MediaPipe's networks look at.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Up to `CHUNK` consecutive frames, and the same reduced by a whole number for the annotators."""

    frames: list[RawFrame]
    small: NDArray[np.uint8]
    """[n,h,w,3]."""
    factor: int
    """Source pixels for each pixel of ``small`` along one side."""


class Replay:
    """One shot of a clip from where its stream stands, at most ``limit`` frames: a first look, and a second in full.

    After the first look ``broken`` holds the reason where the source breaks off behind good frames, and ``next_frame``
    where it goes on behind this shot, None where it ends.
    """

    def __init__(
        self, clip: RawClip, stream: FrameStream, limit: int, *, chunk: int = CHUNK, split: bool = True
    ) -> None:
        self._clip, self._stream, self._limit, self._chunk, self._split = clip, stream, limit, chunk, split
        self._finder = CutFinder()
        self.start = stream.position
        self.cuts = 0
        """Cuts inside, where it is not split at them."""
        self._kept: list[RawFrame] | None = []
        self._bytes = 0
        self.frames = 0
        self.skipped: int | None = None
        """Frames that the source leaves out inside, where it tells."""
        self.size: tuple[int, int] = (0, 0)
        self.broken = ""
        self.next_frame: int | None = None

    def first_look(self) -> Iterator[Chunk]:
        """Every chunk, read ahead on a thread."""
        with closing(ahead(self._chunks())) as chunks:
            for chunk in chunks:
                self._keep(chunk.frames)
                yield chunk
        self.broken = self._stream.broken if self.frames < self._limit else ""
        self.next_frame = self._stream.position if self._stream.goes_on() and not self.broken else None

    def second_look(self) -> Iterator[list[RawFrame]]:
        """The frames again, as many as the first look gave, in lists of the same length."""
        if self._kept is not None:
            yield from (self._kept[at : at + self._chunk] for at in range(0, len(self._kept), self._chunk))
            return
        frames = islice(self._clip.read(self.start), self.frames)
        with closing(ahead(_lists(frames, self._chunk))) as lists:
            yield from lists

    def _chunks(self) -> Iterator[Chunk]:
        for some in _lists(self._shot(), self._chunk):
            small, factor = reduced([frame.rgb for frame in some])
            yield Chunk(frames=some, small=small, factor=factor)

    def _shot(self) -> Iterator[RawFrame]:
        """Frames up to the limit, the end, or the next cut where it is split there."""
        for _ in range(self._limit):
            signatures = [seen[1] for seen in self._stream.peek(1 + LOOK_AHEAD)]
            if not signatures:
                return
            if self._finder.begins_a_shot(signatures[0], signatures[1:]):
                if self._split:
                    return
                self.cuts += 1
            yield self._stream.take()

    def _keep(self, frames: list[RawFrame]) -> None:
        if not self.frames:
            self.size = (frames[0].rgb.shape[0], frames[0].rgb.shape[1])
        for frame in frames[0 if self.frames else 1 :]:
            if frame.skipped is not None:
                self.skipped = (self.skipped or 0) + frame.skipped
        self.frames += len(frames)
        self._bytes += sum(frame.rgb.nbytes + sum(map(_nbytes, frame.shipped.values())) for frame in frames)
        if self._kept is None or self._bytes > REPLAY_BYTES:
            self._kept = None
        else:
            self._kept.extend(frames)


def reduced(frames: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], int]:
    """Frames as one array, averaged over squares of the largest whole factor that leaves `_ANNOTATE_SIDE` pixels."""
    factor = max(1, min(frames[0].shape[:2]) // _ANNOTATE_SIDE)
    if factor == 1:
        return np.stack(frames), 1
    return np.stack([np.asarray(Image.fromarray(frame).reduce(factor)) for frame in frames]), factor


def _nbytes(track: NDArray) -> int:
    return track.nbytes


def _lists(frames: Iterator[RawFrame], length: int) -> Iterator[list[RawFrame]]:
    while some := list(islice(frames, length)):
        yield some


class _End:
    """Travels behind the last item; carries what went wrong."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator) -> Generator:
    """The same items, made on a thread that stays a little in front. Closing the iterator stops the thread."""
    waiting: queue.Queue = queue.Queue(maxsize=_AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_feed, args=(items, waiting, stop), name="idol-prep-read", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()


def _feed(items: Iterator, waiting: queue.Queue, stop: threading.Event) -> None:
    end = _End()
    try:
        for item in items:
            if not _put(waiting, item, stop):
                break
    except BaseException as error:  # handed to the reader's thread, which raises it
        end = _End(error)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
        _put(waiting, end, stop)


def _put(waiting: queue.Queue, item: object, stop: threading.Event) -> bool:
    """Wait for room; False when the reader has gone."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
