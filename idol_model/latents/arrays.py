"""Arrays on disk that several processes fill, each some rows of its own.

Rows are written as bytes of the file, not through a memory map: maps of one file on two machines overwrite each
other's pages.
"""

import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray


class RowFile:
    """A ``.npy`` file that `reserve` made, open for writing rows."""

    def __init__(self, path: Path) -> None:
        made = open_memmap(path, mode="r")
        self._shape, self._kind, self._offset = made.shape[1:], made.dtype, made.offset
        self._row = int(np.prod(self._shape)) * made.dtype.itemsize
        self._file = path.open("r+b", buffering=0)

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, first: int, values: NDArray[np.generic]) -> None:
        """Put rows [n, ...] at ``first``.

        Raises:
            ValueError: they are not of the array's shape.
        """
        if values.shape[1:] != self._shape:
            raise ValueError(f"{self._file.name}: rows of {values.shape[1:]} do not fit {self._shape}")
        content = np.ascontiguousarray(values, self._kind).data.cast("B")
        self._file.seek(self._offset + first * self._row)
        while content:  # one call writes 2 GB at most
            content = content[self._file.write(content) :]

    def flush(self) -> None:
        """All that was written is on the disk."""
        os.fsync(self._file.fileno())


def reserve(path: Path, shape: tuple[int, ...], kind: type) -> None:
    """An empty array on disk with its space taken, so that a full disk is met before the work and not in the middle.

    Raises:
        OSError: the disk has no room.
    """
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    try:
        offset = open_memmap(path, mode="w+", dtype=kind, shape=shape).offset
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, offset + size)
    except OSError as error:
        raise OSError(
            f"{path}: no room for {size / 1e9:.1f} GB of the latent cache ({error.strerror}); free some space, "
            "choose another folder, or set stages.N.cache_latents=false"
        ) from None
