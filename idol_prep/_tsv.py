"""Tables as DisCo keeps pictures in: a key, a tab, base64, perhaps more columns; offsets of the rows lie beside them.

``NAME.lineidx`` lists the byte offset of each row as text, ``NAME.lineidx.8b`` as little-endian 8-byte numbers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from idol_prep._leftovers import replaced
from idol_prep.pictures import Encoded
from idol_prep.schema import DataError

_KEY_BYTES = 512
_NO_PICTURE = (b"\tfalse", b"\t0")


@dataclass(frozen=True, slots=True)
class TsvRow:
    """One row of a table, by its place in the file."""

    path: Path
    start: int
    size: int
    key: str

    def columns(self) -> list[bytes]:
        """All columns. Raises `DataError` where another row lies there by now."""
        with open(self.path, "rb") as stream:
            stream.seek(self.start)
            columns = stream.read(self.size).rstrip(b"\r\n").split(b"\t")
        if columns[0] != self.key.encode():
            raise DataError(f"{self.path}: row {self.key} is not where it was listed; copy table and index again")
        return columns

    def picture(self) -> Encoded:
        """The picture in the second column. Raises `DataError` where there is none."""
        columns = self.columns()
        try:
            return Encoded(f"{self.path}/{self.key}", base64.b64decode(columns[1], validate=True))
        except (IndexError, binascii.Error) as error:
            raise DataError(f"{self.path}: row {self.key} holds no picture ({error}); copy the table again") from error

    def is_valid(self) -> bool:
        """Whether a third column, where there is one, does not say that the picture stands for nothing."""
        with open(self.path, "rb") as stream:
            stream.seek(self.start + max(self.size - 16, 0))
            return not stream.read(min(self.size, 16)).rstrip(b"\r\n").lower().endswith(_NO_PICTURE)


def rows_of(path: Path) -> list[TsvRow]:
    """Every row of a table with its key. Raises `DataError` for a missing table, or an index that is not its own."""
    if not path.is_file():
        raise DataError(f"{path}: no such table; copy all that the YAML file names")
    starts = _starts(path)
    ends = np.append(starts[1:], path.stat().st_size)
    if len(starts) and (starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= ends[-1]):
        raise DataError(f"{path}: its .lineidx is another table's; delete it, and the rows are found without")
    with open(path, "rb") as stream:
        return [_row(path, stream, int(start), int(end - start)) for start, end in zip(starts, ends, strict=True)]


def write_table(path: Path, rows: Iterable[Sequence[str]]) -> int:
    """Write a table with both indices, whole or not at all; returns how many rows."""
    starts: list[int] = []
    with replaced(path) as stream:
        for columns in rows:
            starts.append(stream.tell())
            stream.write("\t".join(columns).encode() + b"\n")
    with replaced(path.with_suffix(".lineidx")) as stream:
        stream.write("".join(f"{start}\n" for start in starts).encode())
    with replaced(path.with_suffix(".lineidx.8b")) as stream:
        stream.write(np.array(starts, "<i8").tobytes())
    return len(starts)


def picture_column(png: bytes) -> str:
    """A picture's file as the second column."""
    return base64.b64encode(png).decode()


def _starts(path: Path) -> NDArray[np.int64]:
    """Offsets of the rows: by the index that is there, or by going through the table."""
    text, binary = path.with_suffix(".lineidx"), path.with_suffix(".lineidx.8b")
    try:
        if binary.is_file():
            return np.fromfile(binary, "<i8").astype(np.int64)
        if text.is_file():
            return np.array([int(line) for line in text.read_text().split()], np.int64)
    except ValueError as error:
        raise DataError(f"{text}: is no list of offsets ({error}); delete it: it is not needed") from error
    with open(path, "rb") as stream:
        sizes = [len(line) for line in stream]
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64) if sizes else np.zeros(0, np.int64)


def _row(path: Path, stream: BinaryIO, start: int, size: int) -> TsvRow:
    stream.seek(start)
    key, tab, _ = stream.read(min(_KEY_BYTES, size)).partition(b"\t")
    if not tab or b"\n" in key:
        raise DataError(f"{path}: no row begins at byte {start}; delete its .lineidx, or copy the table again")
    return TsvRow(path, start, size, key.decode("utf-8", "replace"))
