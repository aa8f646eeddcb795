"""Which clips of a cache are done: a note of each process that works on it, gathered by the main one."""

import json
import os
from pathlib import Path
from typing import Any

_GATHERED = "done.json"
_Ranges = list[list[int]]
"""Stretches [begin, end) of positions."""


class Notes:
    """``done.json`` has what earlier attempts did, ``done-RANK.json`` what each process has done in this one.

    A note is replaced in one go; whoever reads it sees the old one or the new one.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._folder, self._file = folder, folder / f"done-{rank}.json"
        self._ranges: _Ranges = []
        self._unreadable: dict[str, str] = {}

    @property
    def unreadable(self) -> dict[str, str]:
        """Positions of clips that could not be read, and why, by position."""
        return dict(sorted(self._unreadable.items(), key=lambda item: int(item[0])))

    def exist(self) -> bool:
        """Whether an earlier attempt left something to continue."""
        return (self._folder / _GATHERED).exists()

    def add(self, position: int, *, unreadable: str | None = None) -> None:
        """A clip is done; it counts once `write` has been called, after its rows are on the disk."""
        if self._ranges and self._ranges[-1][1] == position:
            self._ranges[-1][1] += 1
        else:
            self._ranges.append([position, position + 1])
        if unreadable is not None:
            self._unreadable[str(position)] = unreadable

    def write(self) -> None:
        """Note what this process has done so far."""
        write_json(self._file, {"done": self._ranges, "unreadable": self._unreadable})

    def gathered(self, clips: int) -> list[int]:
        """Bring the notes of all processes together in one; the positions below ``clips`` that are not done.

        No other process may write meanwhile.
        """
        parts = sorted(self._folder.glob("done-*.json"))
        found = [_read(path) for path in (self._folder / _GATHERED, *parts) if path.exists()]
        done = {position for note in found for begin, end in note["done"] for position in range(begin, end)}
        self._ranges, self._unreadable = [], {key: why for note in found for key, why in note["unreadable"].items()}
        for position in sorted(done):
            self.add(position)
        write_json(self._folder / _GATHERED, {"done": self._ranges, "unreadable": self.unreadable})
        for path in parts:
            path.unlink()
        self._ranges = []
        return [position for position in range(clips) if position not in done]


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write by way of a temporary name."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    os.replace(temporary, path)


def _read(path: Path) -> dict[str, Any]:
    note = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(note["done"], int):  # a cache begun before several processes could make one
        note["done"] = [[0, note["done"]]]
    return note
