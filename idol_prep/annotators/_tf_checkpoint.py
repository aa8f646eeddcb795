"""Reading TensorFlow checkpoints (V2: ``NAME.index`` and ``NAME.data-00000-of-00001``) without TensorFlow.

The index is a LevelDB table: blocks of keys that share prefixes with the one before, found through an index block named
in the footer. Each value is a small protocol buffer: type, shape, place and length of a tensor in the data file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idol_prep.schema import DataError

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_TYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
_UNCOMPRESSED = 0


@dataclass(slots=True)
class _Entry:
    """Where a tensor lies."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    slices: list[bytes] = field(default_factory=list)


def read_checkpoint(prefix: Path) -> dict[str, NDArray]:
    """All tensors by name. ``prefix`` is the path without ``.index``. Raises `DataError` for a damaged file."""
    index = prefix.with_name(prefix.name + ".index")
    if not index.is_file():
        raise DataError(f"{index}: no such file; name a checkpoint without its suffix, such as model_1920000")
    try:
        entries = {key.decode(): _entry(value) for key, value in _table(index.read_bytes()) if key}
        return {name: _tensor(prefix, entry) for name, entry in entries.items()}
    except (IndexError, ValueError, KeyError, OverflowError) as error:
        raise DataError(f"{prefix}: is damaged, or no TensorFlow checkpoint of version 2 ({error})") from error


def _tensor(prefix: Path, entry: _Entry) -> NDArray:
    if entry.shard or entry.slices:
        raise ValueError("its tensors are spread over several files")
    dtype = _TYPES[entry.dtype]
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    count = math.prod(entry.shape)
    if entry.size != count * dtype.itemsize:
        raise ValueError(f"{entry.size} bytes for {count} numbers")
    return np.fromfile(data, dtype, count, offset=entry.offset).reshape(entry.shape)


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table."""
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise ValueError("no table's footer")
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)  # the meta index
    (place, length), _ = _handle(footer, at)
    for _, handle in _block(data, place, length):
        (block, size), _ = _handle(handle, 0)
        yield from _block(data, block, size)


def _block(data: bytes, place: int, length: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of one block; behind them lie restart points and their number."""
    if data[place + length] != _UNCOMPRESSED:
        raise ValueError("a compressed table")
    block = data[place : place + length]
    end = length - 4 * (int.from_bytes(block[-4:], "little") + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _number(block, at)
        own, at = _number(block, at)
        value, at = _number(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + value]
        at += own + value


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    place, at = _number(data, at)
    length, at = _number(data, at)
    return (place, length), at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _entry(data: bytes) -> _Entry:
    """TensorFlow's ``BundleEntryProto``: 1 type, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum, 7 slices."""
    entry = _Entry()
    for number, value in _fields(data):
        match number, value:
            case 1, int():
                entry.dtype = value
            case 2, bytes():
                entry.shape = tuple(_extent(dim) for number, dim in _fields(value) if number == 2)
            case 3, int():
                entry.shard = value
            case 4, int():
                entry.offset = value
            case 5, int():
                entry.size = value
            case 7, bytes():
                entry.slices.append(value)
    return entry


def _extent(dim: int | bytes) -> int:
    """One dimension of a ``TensorShapeProto``; 0 is not written."""
    return next((value for number, value in _fields(bytes(dim)) if number == 1 and isinstance(value, int)), 0)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protocol buffer's fields."""
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _number(data, at)
            yield number, value
        elif kind == 2:
            length, at = _number(data, at)
            yield number, data[at : at + length]
            at += length
        elif kind == 5:
            yield number, data[at : at + 4]
            at += 4
        else:
            raise ValueError(f"a field of kind {kind}")
