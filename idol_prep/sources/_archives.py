"""Files inside zip archives, read without unpacking anything."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from idol_prep.schema import DataError


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive, or a plain file (``archive`` is None)."""

    archive: Path | None
    name: str
    size: int

    @property
    def base(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.name).name

    def read(self) -> bytes:
        """All of it. Raises `DataError` for a damaged archive."""
        if self.archive is None:
            return Path(self.name).read_bytes()
        try:
            with zipfile.ZipFile(self.archive) as archive:
                return archive.read(self.name)
        except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self}: cannot be read from its archive ({error})") from error

    def stream(self) -> io.BytesIO:
        """All of it as a file in memory."""
        return io.BytesIO(self.read())

    def __str__(self) -> str:
        return self.name if self.archive is None else f"{self.archive}/{self.name}"


def members(root: Path, suffix: str) -> Iterator[Member]:
    """Files of that suffix below ``root`` and in the zip archives there, in order of archives and names.

    Raises `DataError` for a damaged archive, and for a member whose name leads out of its archive.
    """
    for file in sorted(root.rglob("*") if root.is_dir() else [root]):
        if file.suffix == ".zip":
            yield from _of_archive(file, suffix)
        elif file.suffix == suffix and file.is_file():
            yield Member(None, str(file), file.stat().st_size)


def _of_archive(file: Path, suffix: str) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(file) as archive:
            listed = sorted(archive.infolist(), key=lambda info: info.filename)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{file}: is no readable zip archive ({error}); download it again") from error
    for info in listed:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{file}: its member {info.filename!r} leads out of the archive; do not trust this file")
        if path.suffix == suffix and not info.is_dir():
            yield Member(file, info.filename, info.file_size)
