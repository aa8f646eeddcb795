"""Keeps the start-up chatter of MediaPipe's C++ libraries off stderr, and lets everything else through."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTER = re.compile(
    rb"^(INFO: Created TensorFlow Lite|WARNING: All log messages before absl::|[IW]\d{4} [\d:. ]+\d+ \w+\.cc:\d+\])"
)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back stderr of this process, C++ included; on leaving pass on the lines that are no known chatter."""
    try:
        saved = os.dup(2)
    except OSError:  # no stderr at all: nothing to keep quiet
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            _pass_on(held.read())


def _pass_on(text: bytes) -> None:
    kept = [line for line in text.splitlines(keepends=True) if not _CHATTER.match(line)]
    if kept:
        os.write(2, b"".join(kept))
