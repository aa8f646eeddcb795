"""The frames of one video one after another, with a look at those that come next."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from idol_prep.cuts import signature
from idol_prep.schema import DataError
from idol_prep.sources import RawClip, RawFrame

Seen = tuple[RawFrame, NDArray[np.float32]]
"""A frame and its signature."""


class FrameStream:
    """Hands out frames in order. An error of the source waits at its place, behind the good frames before it."""

    def __init__(self, raw: RawClip, start: int) -> None:
        self.position = start
        self._frames = raw.read(start)
        self._waiting: deque[Seen] = deque()
        self._error = ""
        self._ended = False

    @property
    def broken(self) -> str:
        """Why the source breaks off right here; empty where it does not."""
        return "" if self._waiting else self._error

    def peek(self, count: int) -> list[Seen]:
        """Up to ``count`` of the next frames, which stay where they are."""
        while len(self._waiting) < count and not self._ended:
            self._draw()
        return [self._waiting[i] for i in range(min(count, len(self._waiting)))]

    def take(self) -> RawFrame:
        """The next frame, which was peeked at."""
        self.position += 1
        return self._waiting.popleft()[0]

    def goes_on(self) -> bool:
        """Whether anything comes next, be it an error."""
        return bool(self.peek(1)) or bool(self._error)

    def close(self) -> None:
        """Let the source's file go."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()

    def _draw(self) -> None:
        try:
            frame = next(self._frames, None)
        except DataError as error:
            frame, self._error = None, str(error)
        if frame is None:
            self._ended = True
        else:
            self._waiting.append((frame, signature(frame.rgb)))
