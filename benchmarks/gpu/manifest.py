"""Prepared clips where pyarrow is not installed: the manifest as lines of JSON, for the benchmark's own data alone.

A bare CUDA machine has no pyarrow, and its wheel is as large as all others together. `stand_in` gives the process a
manifest that asks for nothing but NumPy; datasets written with it hold ``manifest.jsonl`` and are not to be shipped.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep import _files, _reader, _writer
from idol_prep._errors import DataError
from idol_prep._leftovers import replaced
from idol_prep._manifest import Range, Records
from idol_prep._records import ClipRecord

NAME = "manifest.jsonl"


class LinesManifest:
    """An open manifest of JSON lines; the methods are those of `idol_prep._manifest.Manifest`."""

    def __init__(self, file: Path) -> None:
        self._path = file
        try:
            self._rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise DataError(f"{file}: cannot be read ({error}); prepare the dataset again") from error

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple:
        return LinesManifest, (self._path,)

    def column(self, name: str) -> NDArray:
        """One flat column [rows]. Raises `DataError` for an unknown one."""
        columns = [flat(row) for row in self._rows]
        if any(name not in row for row in columns):
            raise DataError(f"{self._path}: has no column {name!r}; there are {', '.join(sorted(flat(self._rows[0])))}")
        values = [row[name] for row in columns]
        words = any(value is None or isinstance(value, str) for value in values)
        return np.array(values, dtype=object if words else None)

    def select(self, split: str | None, ranges: Mapping[str, Range]) -> Records:
        """The rows of a split (None: of all) whose columns lie in these ranges, bounds included."""
        wanted = np.ones(len(self), bool) if split is None else self.column("split") == split
        for name, (low, high) in ranges.items():
            values = self.column(name)
            wanted &= (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
        return Records(self, np.flatnonzero(wanted))  # type: ignore[arg-type]

    def record(self, row: int) -> ClipRecord:
        """The record in one row."""
        return ClipRecord.from_dict(self._rows[row])


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record's columns: its own fields, and those of depth and scores under ``depth_`` and ``score_``."""
    depth = {f"depth_{name}": (row["depth"] or {}).get(name) for name in ("low", "high", "polarity", "scope")}
    return {**row, **depth, **{f"score_{name}": value for name, value in row["scores"].items()}}


def write_lines(file: Path, records: Sequence[ClipRecord]) -> None:
    """Write the records in the order given, whole or not at all."""
    with replaced(file) as stream:
        stream.write("".join(json.dumps(record.to_dict()) + "\n" for record in records).encode())


def stand_in() -> bool:
    """Use lines of JSON in this process from now on where pyarrow is missing; returns whether it is."""
    missing = find_spec("pyarrow") is None
    if missing:
        use()
    return missing


def use() -> None:
    """Use lines of JSON in this process from now on."""
    for module in (_files, _reader):
        module.MANIFEST_FILE = NAME  # type: ignore[attr-defined]
    for module in (_reader, _writer):
        module.Manifest = LinesManifest  # type: ignore[attr-defined]
    _writer.write_manifest = write_lines
