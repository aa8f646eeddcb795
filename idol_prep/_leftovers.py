"""Names of unfinished files and folders, and which of them their writer has left behind for good."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PART = ".part"
_OTHER_HOSTS_GIVE_UP_AFTER = 24 * 3600.0
"""Seconds; whether a process of another machine still lives cannot be seen."""


def owned(name: str) -> str:
    """``name`` with this process's mark."""
    return f"{name}.{socket.gethostname()}-{os.getpid()}"


@contextmanager
def replaced(file: Path) -> Iterator[IO[bytes]]:
    """Open a stream that becomes ``file`` when all went well: a reader sees the old or the new one, never a part."""
    temporary = file.with_name(owned(file.name) + _PART)
    try:
        with open(temporary, "wb") as stream:
            yield stream
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def clear(folder: Path, prefix: str = "") -> None:
    """Remove what dead processes left in ``folder``: half-written files, and folders that begin with ``prefix``."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.endswith(_PART) and is_abandoned(entry, entry.name.removesuffix(_PART)):
            entry.unlink(missing_ok=True)
        elif prefix and entry.name.startswith(prefix) and is_abandoned(entry, entry.name):
            shutil.rmtree(entry, ignore_errors=True)


def is_abandoned(entry: Path, mark: str) -> bool:
    """Whether the process that wrote ``entry`` is gone. One process has one writer a dataset, so its own are too."""
    host, _, pid = mark.rpartition("-")
    if not pid.isdigit():
        return False
    if not host.endswith(f".{socket.gethostname()}"):
        return _age(entry) > _OTHER_HOSTS_GIVE_UP_AFTER
    return int(pid) == os.getpid() or not _lives(int(pid))


def _age(entry: Path) -> float:
    try:
        return time.time() - entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
