"""The manifest: one row a clip, flat columns to query and the whole record as JSON.

Opening reads the file's footer, a query the columns that it names, and a record is made when it is asked for: a million
rows cost no more than what is taken from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError
from idol_prep._leftovers import replaced
from idol_prep._records import ClipRecord

Range = tuple[float | None, float | None]
"""Smallest and largest wanted value; None for no bound."""

_FLAT = ("id", "split", "source", "fps", "start_frame", "frames", "height", "width", "keypoint_format", "sha256")
_DEPTH = {"low": "float64", "high": "float64", "polarity": "string", "scope": "string"}
_ROW_GROUP = 4096
"""Rows that are read together: some megabytes of records."""


class Manifest:
    """An open manifest. Raises `DataError` for a damaged file."""

    def __init__(self, file: Path) -> None:
        import pyarrow.parquet as pq

        self._path = file
        with self._explained():
            self._file = pq.ParquetFile(file, memory_map=True)
            if "record" not in self._file.schema_arrow.names:
                raise KeyError("no column 'record'")
        ends = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(ends)]).astype(np.int64)
        self._held: tuple[int, list[str]] = (-1, [])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __reduce__(self) -> tuple:
        return Manifest, (self._path,)

    def column(self, name: str) -> NDArray:
        """One flat column [rows]. Raises `DataError` for an unknown one."""
        names = self._file.schema_arrow.names
        if name not in names:
            raise DataError(f"{self._path}: has no column {name!r}; there are {', '.join(names)}")
        with self._explained():
            return self._file.read(columns=[name]).column(0).to_numpy()

    def select(self, split: str | None, ranges: Mapping[str, Range]) -> Records:
        """The rows of a split (None: of all) whose columns lie in these ranges, bounds included."""
        wanted = np.ones(len(self), bool) if split is None else self._is("split", split)
        for name, (low, high) in ranges.items():
            values = self.column(name)
            wanted &= (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
        return Records(self, np.flatnonzero(wanted))

    def record(self, row: int) -> ClipRecord:
        """The record in one row."""
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        if self._held[0] != group:
            with self._explained():
                self._held = group, self._file.read_row_group(group, columns=["record"]).column(0).to_pylist()
        return ClipRecord.from_dict(json.loads(self._held[1][row - int(self._starts[group])]))

    def _is(self, name: str, value: str) -> NDArray[np.bool_]:
        """Where a column of words has this value; compared in Arrow, without a Python object a row."""
        import pyarrow.compute as pc

        with self._explained():
            column = self._file.read(columns=[name]).column(0)
        return pc.equal(column, value).to_numpy()  # type: ignore[attr-defined]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DataError(f"{self._path}: cannot be read ({error}); prepare the dataset again") from error


class Records(Sequence[ClipRecord]):
    """Records in their order, each made when it is asked for."""

    def __init__(self, manifest: Manifest, rows: NDArray[np.int64]) -> None:
        self._manifest, self._rows = manifest, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> ClipRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> ClipRecord | Records:
        if isinstance(index, slice):
            return Records(self._manifest, self._rows[index])
        return self._manifest.record(int(self._rows[index]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def ids(self) -> list[str]:
        """The clips' ids alone."""
        return self.column("id").tolist()

    def column(self, name: str) -> NDArray:
        """One flat column of these rows. Raises `DataError` for an unknown one."""
        return self._manifest.column(name)[self._rows]


def write_manifest(file: Path, records: Sequence[ClipRecord]) -> None:
    """Write the records in the order given, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [record.to_dict() for record in records]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in _FLAT}
    for name, kind in _DEPTH.items():
        columns[f"depth_{name}"] = pa.array([(row["depth"] or {}).get(name) for row in rows], kind)
    for name in sorted({name for row in rows for name in row["scores"]}):
        columns[f"score_{name}"] = pa.array([row["scores"].get(name) for row in rows], "float64")
    columns["approximate"] = pa.array([row["approximate"] for row in rows], pa.list_(pa.string()))
    columns["record"] = [json.dumps(row) for row in rows]
    with replaced(file) as stream:
        pq.write_table(pa.table(columns), stream, row_group_size=_ROW_GROUP)
