"""Reading a prepared dataset: `Dataset` (the manifest) and `Clip` (one folder, read window by window)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError
from idol_prep._ffv1 import pick_ffv1, read_ffv1
from idol_prep._files import (
    BACKGROUND_FILE,
    CLIP_FILE,
    CLIPS_FOLDER,
    DATASET_FILE,
    DEPTH_FILE,
    FRAMES_FILE,
    KEYPOINTS_FILE,
    MANIFEST_FILE,
    MASK_FILE,
    check_version,
    dict_hash,
    file_hash,
    read_json,
)
from idol_prep._manifest import Manifest, Range, Records
from idol_prep._records import ID, SPLITS, ClipRecord, Split
from idol_prep.pose.formats import Keypoints


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip's folder. Tracks are read when asked for; ``start`` and ``stop`` count frames, stop exclusive.

    Every reader raises `DataError` for a range outside the clip, a missing or a damaged track.
    """

    record: ClipRecord
    path: Path
    _codes: tuple[float, float] | None = None
    """Offset and scale of the depth codes."""

    @staticmethod
    def open(path: Path) -> Clip:
        """The clip in folder ``path``. Raises `DataError` if there is none, or one of another format version."""
        path = Path(path)
        document = read_json(path / CLIP_FILE, "a prepared clip; name a folder clips/ID of a prepared dataset")
        check_version(path / CLIP_FILE, document)
        codes = document.get("depth_codes")
        return Clip(
            ClipRecord.from_dict(document["record"]), path, (codes["offset"], codes["scale"]) if codes else None
        )

    def frames(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """RGB pictures, uint8 [L,H,W,3]."""
        return self._track(FRAMES_FILE, start, stop)

    def frames_at(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """Single RGB pictures by their numbers, uint8 [n,H,W,3]."""
        with self._present(FRAMES_FILE) as file:
            return pick_ffv1(file, numbers)

    def mask(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Labels, uint8 [L,H,W]: 0 background, 1, 2, ... people."""
        return self._track(MASK_FILE, start, stop)

    def mask_at(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """The labels of single frames, uint8 [n,H,W]."""
        with self._present(MASK_FILE) as file:
            return pick_ffv1(file, numbers)

    def depth(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Depth in raw units, float32 [L,H,W], NaN where there is no value; ``record.depth`` says which end is near."""
        if self._codes is None:
            raise DataError(f"clip {self.record.id}: has no depth track; prepare it again with a depth annotator")
        codes = self._track(DEPTH_FILE, start, stop)
        offset, scale = self._codes
        return np.where(codes > 0, codes * np.float64(scale) + offset, np.nan).astype(np.float32)

    def keypoints(self, start: int = 0, stop: int | None = None) -> Keypoints:
        """Joints of the people, in pixels of this clip's frames."""
        start, stop = self._range(start, stop)
        file = self.path / KEYPOINTS_FILE
        try:
            return Keypoints.load(file).window(start, stop)
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise DataError(f"{file}: cannot be read ({error}); prepare this clip again") from error

    def background(self) -> NDArray[np.uint8] | None:
        """The clean plate, uint8 [H,W,3], None where it is not known."""
        if BACKGROUND_FILE not in self.record.files:
            return None
        from PIL import Image

        try:
            with Image.open(self.path / BACKGROUND_FILE) as picture:
                return np.asarray(picture.convert("RGB"))
        except OSError as error:
            raise DataError(
                f"{self.path / BACKGROUND_FILE}: cannot be read ({error}); prepare this clip again"
            ) from error

    def verify(self) -> None:
        """Compare every file with its SHA-256. Raises `DataError` for the first that differs or is missing."""
        for name, expected in self.record.files.items():
            file = self.path / name
            if not file.is_file() or file_hash(file) != expected:
                raise DataError(f"{file}: is missing or changed since it was written; prepare this clip again")

    def _track(self, name: str, start: int, stop: int | None) -> NDArray:
        start, stop = self._range(start, stop)
        with self._present(name) as file:
            return read_ffv1(file, start, stop)

    @contextmanager
    def _present(self, name: str) -> Iterator[Path]:
        file = self.path / name
        try:
            yield file
        except FileNotFoundError as error:
            raise DataError(f"{file}: is missing; prepare this clip again") from error

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        stop = self.record.frames if stop is None else stop
        if not 0 <= start < stop <= self.record.frames:
            raise DataError(f"clip {self.record.id}: frames {start}:{stop} are not within 0:{self.record.frames}")
        return start, stop


@dataclass(frozen=True, slots=True)
class Dataset:
    """A finished dataset: what made it (``info``) and its clips."""

    root: Path
    info: dict[str, Any]
    _manifest: Manifest

    @staticmethod
    def open(root: Path) -> Dataset:
        """Read ``dataset.json`` and open the manifest. Raises `DataError` for a folder that is no finished dataset."""
        root = Path(root)
        info = read_json(root / DATASET_FILE, "a prepared dataset; make one with `idol prep`")
        check_version(root / DATASET_FILE, info)
        if not (root / MANIFEST_FILE).is_file():
            raise DataError(f"{root}: the dataset is not finished; run the command that makes it again, it continues")
        return Dataset(root, info, Manifest(root / MANIFEST_FILE))

    def records(self, split: Split | None = None, **ranges: Range) -> Records:
        """The clips' records, ordered by id; of one split, or of all.

        ``ranges`` keep the rows whose columns lie between two values (None for no bound):
        ``records("train", frames=(16, None), score_mask_flicker=(None, 0.2))``. Raises `DataError` for an unknown
        split or column.
        """
        if split is not None and split not in SPLITS:
            raise DataError(f"split {split!r} is unknown; choose one of {', '.join(SPLITS)}")
        return self._manifest.select(split, ranges)

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id. Raises `DataError` if the dataset has none."""
        folder = self.root / CLIPS_FOLDER / clip_id
        if not (ID.fullmatch(clip_id) and folder.is_dir()):
            raise DataError(f"{self.root}: has no clip {clip_id!r} among its {len(self._manifest)}")
        return Clip.open(folder)

    @property
    def content_hash(self) -> str:
        """SHA-256 over ids, splits and contents of all clips: the same data, wherever it lies, has the same."""
        ids, splits, contents = (self._manifest.column(name) for name in ("id", "split", "sha256"))
        return dict_hash({row[0]: f"{row[1]} {row[2]}" for row in zip(ids, splits, contents, strict=True)})
