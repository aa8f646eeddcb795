"""Other packages and the terminal: nothing of theirs reaches it unasked. ``IDOL_DEBUG=1`` asks for all of it.

What matters to a user comes as an exception, which `cli._errors` says in a line. Packages of this field also log that
an optional kernel is missing, or print a banner when they are imported: noise beside ours, and worse in ``--json``.
"""

import logging
import os
import sys
from types import FrameType
from typing import Any, TextIO, cast

_IMPORTING = "<frozen importlib._bootstrap>"
"""The file of every frame that brings a module in."""


def keep_quiet() -> None:
    """For the rest of this process: no log lines, and nothing that a module prints while it is imported."""
    if os.environ.get("IDOL_DEBUG", "0") not in ("", "0"):
        return
    logging.disable(logging.CRITICAL)
    sys.stdout = cast(TextIO, _Outside(sys.stdout))
    sys.stderr = cast(TextIO, _Outside(sys.stderr))


class _Outside:
    """A stream that takes what is written outside of imports and drops the rest."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As a text stream's; returns the number of characters, dropped ones too."""
        return len(text) if _importing(sys._getframe(1)) else self._stream.write(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
