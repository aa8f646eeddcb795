"""Ctrl-C and SIGTERM: a training saves where it stands, then ends; a second signal ends it at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPING = "stopping: this step is finished and saved first; Ctrl-C again ends it at once"
_KEPT = "stopped; finished work is kept, the same command continues"


class TrainingInterrupted(KeyboardInterrupt):
    """A signal ended a training; the message says what is kept. ``exit_code`` is 128 and the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, number)  # both, so that it can be pickled
        self.exit_code = 128 + number

    def __str__(self) -> str:
        return self.args[0]


class Stopping:
    """What was asked of a run by signals. ``say`` is given a line for the user when a stop has to wait."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._number: int | None = None
        self._deferring = False
        self._noticed = threading.Event()
        self.at_once = False
        """Whether a second signal came."""

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def interrupted(self, message: str) -> TrainingInterrupted:
        """The exception that ends a run which has done what it had to; Ctrl-C's where another process was asked."""
        return TrainingInterrupted(message, signal.SIGINT if self._number is None else self._number)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle both signals inside, but for one that is ignored, and outside of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        # A handler must not print; a thread of its own may.
        speaker = threading.Thread(target=self._speak, daemon=True, name="stopping")
        speaker.start()
        try:
            for number in handled:
                signal.signal(number, self._handle)
            yield
        finally:
            for number in handled:
                signal.signal(number, before[number])
            self._deferring = False
            self._noticed.set()
            speaker.join()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, the first signal only sets `asked`: whoever runs there looks, saves and raises `interrupted`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.asked:
            raise self.interrupted(_KEPT)

    def _handle(self, number: int, frame: FrameType | None) -> Any:
        del frame
        self.at_once = self.asked
        self._number = number
        if self.at_once or not self._deferring:
            raise self.interrupted(_KEPT)
        self._noticed.set()

    def _speak(self) -> None:
        self._noticed.wait()
        if self._deferring:
            self._say(_STOPPING)
