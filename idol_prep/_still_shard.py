"""One shard of still pictures: a tar file that WebDataset reads, and an index that finds sample i by one seek.

A sample is three members that follow each other: ``KEY.png`` (or jpg, webp), ``KEY.mask.png``, ``KEY.json``. The index
is int64 [samples, 3, 2]: offset and length of each member's bytes, in that order.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError
from idol_prep.pictures import Encoded, read_mask, read_rgb

SUFFIXES = (".png", ".jpg", ".webp")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+=-]{0,79}")
"""No dots, since WebDataset ends a key at the first one; short enough for a plain tar header."""

_MASK, _JSON = ".mask.png", ".json"
_BLOCK = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class StillRecord:
    """What is known of one picture."""

    key: str
    source: str
    """Which picture of its source it is, in words another person can follow."""
    height: int
    width: int
    box: tuple[float, float, float, float]
    """The person's left, top, right, bottom in pixels of the picture."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Quality figures by name."""

    def __post_init__(self) -> None:
        if not KEY.fullmatch(self.key):
            raise DataError(f"key {self.key!r} is no name in a shard; use up to 80 letters, digits and _ + = -")

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> StillRecord:
        """From plain JSON types; unknown keys are left aside. Raises TypeError for a missing one."""
        known = {one.name for one in fields(StillRecord)}
        kept: dict[str, Any] = {name: value for name, value in values.items() if name in known}
        kept["box"] = tuple(kept.get("box", ()))
        return StillRecord(**kept)


@dataclass(frozen=True, kw_only=True, slots=True)
class Still:
    """One picture of a person: ``picture`` RGB uint8 [H,W,3], ``mask`` uint8 [H,W] with 255 for the person, 0 else."""

    record: StillRecord
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]

    @property
    def key(self) -> str:
        """Its name in the set."""
        return self.record.key


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedStill:
    """A sample as it goes into a shard: the picture's bytes in the format of ``suffix``, and the mask's PNG."""

    record: StillRecord
    suffix: str
    picture: bytes
    mask: bytes


@contextmanager
def shard_writer(stream: IO[bytes]) -> Iterator[ShardWriter]:
    """A tar file into the stream, ended when all went well."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        yield ShardWriter(archive)


class ShardWriter:
    """Adds samples to a tar file, and says where they are. The same samples give the same bytes."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._rows: list[list[tuple[int, int]]] = []
        self._keys: set[str] = set()

    def add(self, still: EncodedStill) -> None:
        """Append one sample. Raises `DataError` for a key that was there already."""
        key = still.record.key
        if key in self._keys:
            raise DataError(f"the key {key!r} comes twice in one shard; keys are unique")
        if still.suffix not in SUFFIXES:
            raise DataError(f"{key}{still.suffix}: no format for shards; use {', '.join(SUFFIXES)}")
        self._keys.add(key)
        record = json.dumps(asdict(still.record), sort_keys=True).encode()
        parts = ((still.suffix, still.picture), (_MASK, still.mask), (_JSON, record))
        self._rows.append([self._member(key + suffix, data) for suffix, data in parts])

    def index(self) -> NDArray[np.int64]:
        """Offset and length of every member so far, [samples,3,2]."""
        return np.array(self._rows, np.int64).reshape(-1, 3, 2)

    def _member(self, name: str, data: bytes) -> tuple[int, int]:
        member = tarfile.TarInfo(name)  # no dates, no owners: the same bytes again
        member.size = len(data)
        offset = self._archive.offset + _BLOCK
        self._archive.addfile(member, io.BytesIO(data))
        return offset, len(data)


def read_still(shard: Path, row: NDArray[np.int64]) -> Still:
    """The sample whose members lie where ``row`` [3,2] says. Raises `DataError` naming shard and member."""
    (first, _), (_, _), (last, length) = row.tolist()
    with open(shard, "rb") as stream:
        stream.seek(max(first - _BLOCK, 0))
        data = stream.read(max(last + length - first + _BLOCK, 0))
    picture, mask, text = (_cut(shard, data, offset - first + _BLOCK, size) for offset, size in row.tolist())
    record = _record(text)
    still = Still(record=record, picture=read_rgb(picture), mask=read_mask(mask))
    _check_mask(mask, still.mask)
    for member, track in ((picture, still.picture), (mask, still.mask)):
        if track.shape[:2] != (record.height, record.width):
            size = f"{track.shape[1]}x{track.shape[0]}"
            raise DataError(f"{member}: is {size}, its record says {record.width}x{record.height}; make the shard anew")
    return still


def _cut(shard: Path, data: bytes, at: int, size: int) -> Encoded:
    """One member's bytes, after its header was found where it should be."""
    try:
        header = tarfile.TarInfo.frombuf(data[at - _BLOCK : at], "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise DataError(f"{shard}: no member where its index says ({error}); copy both files again") from error
    if header.size != size or len(data) < at + size:
        raise DataError(f"{shard}/{header.name}: is not as long as the index says; copy both files again")
    return Encoded(f"{shard}/{header.name}", data[at : at + size])


def _check_mask(member: Encoded, mask: NDArray[np.uint8]) -> None:
    if (mask + np.uint8(1) > 1).any():  # 0 and 255 become 1 and 0, all else stays above
        raise DataError(f"{member}: has values other than 0 and 255; make the shard anew with a binary mask")


def _record(member: Encoded) -> StillRecord:
    try:
        record = StillRecord.from_dict(json.loads(member.data))
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{member}: is no record of a picture ({error}); copy the shard again") from error
    if not member.name.endswith(f"/{record.key}{_JSON}"):
        raise DataError(f"{member}: holds the record of {record.key!r}; copy the shard again")
    return record
