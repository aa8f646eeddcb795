"""What img2dataset downloads (LAION and its like): ``00000.tar`` or folders ``00000/``, with ``00000_stats.json``.

Members of one key are a picture, its caption (``.txt``) and what is known of it (``.json``, with ``status``). The
tool's standard ``resize_mode`` pads pictures with white bars to a square: these are cut away.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from idol_prep._rejecting import Rejected
from idol_prep.pictures import Encoded
from idol_prep.schema import DataError
from idol_prep.sources.pictures import SeenPicture, fingerprint, load

_WHITE, _WHITE_MEAN = 224, 250.0
"""Darkest value, and least mean, of a row of a white bar; JPEG leaves some ripples."""
_UNEVEN = 2
"""Pixels by which the bars on opposite sides may differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaionPicture:
    """One downloaded picture, its file in memory, and the text of its ``.json``."""

    key: str
    origin: str
    picture: Encoded
    known: bytes | None

    def read(self) -> SeenPicture:
        """The picture without bars. Raises `DataError` where its ``.json`` is damaged or says that it failed."""
        status = self._status()
        if status != "success":
            raise DataError(f"{self.origin}: has the status {status!r}; it was not downloaded whole")
        seen = load(self.picture)
        top, bottom, left, right = without_bars(seen.rgb)
        height, width, _ = seen.rgb.shape
        cut = height * width - (bottom - top) * (right - left)
        if not cut:
            return seen
        rgb = np.ascontiguousarray(seen.rgb[top:bottom, left:right])
        return replace(seen, rgb=rgb, file=None, suffix=".png", notes={"bars": round(cut / (height * width), 5)})

    def _status(self) -> str:
        if self.known is None:
            return "success"  # img2dataset was told to write none
        try:
            return str(json.loads(self.known)["status"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.origin}: its .json is none of img2dataset ({error!r}); download it again"
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class LaionGroup:
    """One shard of the download, a tar file or a folder."""

    number: int
    path: Path

    @property
    def id(self) -> str:
        """The download's name for it."""
        return self.path.stem

    @property
    def count(self) -> int | None:
        """How many were downloaded, where the download says so."""
        try:
            return int(_stats(self.path)["successes"])
        except (KeyError, TypeError, ValueError):
            return None

    def pictures(self) -> Iterator[LaionPicture]:
        """Its pictures in their order. Raises `DataError` where the tar file breaks off."""
        for key, files in _by_key(self.path):
            yield self._picture(key, files)

    def _picture(self, key: str, files: dict[str, bytes]) -> LaionPicture:
        """The picture among the members of one key; without any, one that cannot be read."""
        suffix = next((suffix for suffix in files if suffix not in (".txt", ".json")), "")
        origin = f"{self.path.name}/{key}{suffix}"
        picture = Encoded(origin, files.get(suffix, b""))
        return LaionPicture(key=key, origin=origin, picture=picture, known=files.get(".json"))


@dataclass(frozen=True, kw_only=True, slots=True)
class LaionSource:
    """All shards of a download."""

    shards: tuple[LaionGroup, ...]
    listing: str
    name: str = field(default="laion", init=False)

    @classmethod
    def open(cls, raw: Path) -> LaionSource:
        """List the shards in ``raw``. Raises `DataError` where there are none."""
        if not raw.is_dir():
            raise DataError(f"{raw}: no such folder; name the --output_folder of img2dataset")
        tars = sorted(raw.glob("*.tar"))
        paths = tars or sorted(one for one in raw.iterdir() if one.is_dir() and one.name.isdigit())
        if not paths:
            raise DataError(f"{raw}: holds no 00000.tar and no folder 00000; name the --output_folder of img2dataset")
        shards = tuple(LaionGroup(number=number, path=path) for number, path in enumerate(paths))
        return cls(
            shards=shards, listing=fingerprint(tars or [file for path in paths for file in sorted(path.iterdir())])
        )

    def groups(self) -> Sequence[LaionGroup]:
        """One for each shard of the download."""
        return self.shards

    def ships(self, track: str) -> bool:
        """It brings captions only."""
        return False

    def describe(self) -> dict:
        """For ``stills.json``: with what the download says of itself, links that were dead among it."""
        stats = [_stats(shard.path) for shard in self.shards]
        words = ("count", "successes", "failed_to_download", "failed_to_resize")
        sums = {word: sum(int(one.get(word, 0)) for one in stats) for word in words} if any(stats) else {}
        return {"name": self.name, "listing": self.listing, "download": sums}


def without_bars(rgb: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what white bars leave of a picture [H,W,3]; only a square one was ever padded."""
    height, width, _ = rgb.shape
    if height != width:
        return 0, height, 0, width
    rows, columns = _bars(rgb), _bars(rgb.transpose(1, 0, 2))
    top, bottom = rows if max(rows) >= max(columns) else (0, 0)
    left, right = columns if max(columns) > max(rows) else (0, 0)
    return top, height - bottom, left, width - right


def _bars(rgb: NDArray[np.uint8]) -> tuple[int, int]:
    """Rows of the white bars at both ends; none where they are not alike, as padding would make them."""
    white = (rgb.min(axis=(1, 2)) >= _WHITE) & (rgb.mean(axis=(1, 2)) >= _WHITE_MEAN)
    if white.all():
        raise Rejected("quality", "empty: the picture is white")
    first, last = int(np.argmin(white)), int(np.argmin(white[::-1]))
    return (first, last) if first and last and abs(first - last) <= _UNEVEN else (0, 0)


def _by_key(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Members of one key together, by suffix. What was whole before a file breaks off comes before the error."""
    last, files = "", {}
    broken: DataError | None = None
    try:
        for name, data in _members(path):
            key, _, suffix = PurePosixPath(name).name.partition(".")
            if key != last and files:
                yield last, files
                files = {}
            last = key
            files[f".{suffix.lower()}"] = data
    except DataError as error:
        broken = error
    if files:
        yield last, files
    if broken is not None:
        raise broken


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        yield from ((file.name, file.read_bytes()) for file in sorted(path.iterdir()) if file.is_file())
        return
    try:
        with tarfile.open(path, "r|") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isfile() else None
                if data is not None:
                    yield member.name, data.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path}: breaks off or is no tar file ({error}); download it again") from error


def _stats(path: Path) -> dict:
    try:
        stats = json.loads(path.with_name(f"{path.stem}_stats.json").read_text(encoding="utf-8"))
        return stats if isinstance(stats, dict) else {}
    except (OSError, ValueError):
        return {}
