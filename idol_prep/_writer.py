"""Writing a prepared dataset: whole clips or none; what is there is kept, what is left out is listed with a reason."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep import _files as names
from idol_prep._depth_codes import DepthCodes, depth_range
from idol_prep._errors import DataError
from idol_prep._ffv1 import read_ffv1, write_ffv1
from idol_prep._files import dict_hash, explained, file_hash, locked, write_json
from idol_prep._leftovers import clear, owned
from idol_prep._manifest import Manifest, write_manifest
from idol_prep._reader import Clip, Dataset
from idol_prep._records import FORMAT_VERSION, ClipRecord, DepthTrack
from idol_prep._rejects import Reject, RejectLog
from idol_prep.pose.formats import Keypoints

_TEMPORARY = ".writing-"


class NoClipsError(DataError):
    """A dataset that would be empty."""


class DatasetWriter:
    """Adds clips to the dataset in ``root``, which is made if it is not there.

    A clip is done when its folder has its final name; before, it lies in a temporary one, which the next writer clears
    away. Several processes may write different clips to one root; the last calls `finish`.

    ``recipe`` is what every clip of the dataset has in common (kind, seed, size, annotators, ...): opening a root that
    was written with another recipe raises `DataError`. ``info`` is further matter for ``dataset.json``. ``known`` are
    records that a writer of this process has read before; they are added to.
    """

    def __init__(
        self,
        root: Path,
        *,
        recipe: Mapping[str, Any],
        info: Mapping[str, Any] | None = None,
        known: dict[str, ClipRecord] | None = None,
    ) -> None:
        self.root = Path(root)
        self._info = {
            "format": "idol-dataset",
            "version": FORMAT_VERSION,
            "recipe": json.loads(json.dumps(recipe)),
            **(info or {}),
        }
        self._known = {} if known is None else known
        self._rejects = RejectLog(self.root)
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root):
                self._enter()

    def has(self, clip_id: str) -> bool:
        """Whether that clip is already written whole."""
        return (self._folder(clip_id) / names.CLIP_FILE).is_file()

    def record(self, clip_id: str) -> ClipRecord | None:
        """The record of a clip that is written whole, None where there is none. Each is read once."""
        if clip_id not in self._known:
            folder = self._folder(clip_id)
            if not folder.is_dir():
                return None
            self._known[clip_id] = Clip.open(folder).record
        return self._known[clip_id]

    def write_clip(
        self,
        record: ClipRecord,
        *,
        frames: Iterable[NDArray[np.uint8]],
        mask: Iterable[NDArray[np.uint8]],
        keypoints: Keypoints,
        depth: DepthTrack | None = None,
        background: NDArray[np.uint8] | None = None,
    ) -> ClipRecord:
        """Write one clip and return its completed record. A clip that is there already is left as it is.

        ``frames`` uint8 [H,W,3] and ``mask`` uint8 [H,W] may be arrays or iterables of frames (memory stays at one),
        ``background`` is the clean plate, uint8 [H,W,3]. Raises `DataError` for tracks of different lengths or sizes
        and for a full disk; nothing of the clip is left then.
        """
        there = self.record(record.id)
        if there is not None:
            return there
        temporary = self._folder(owned(_TEMPORARY + record.id))
        with explained(self.root, f"writing clip {record.id}"):
            try:
                temporary.mkdir(parents=True)
                count = write_ffv1(temporary / names.FRAMES_FILE, frames, "rgb", record.fps)
                record = self._measured(record, temporary, count)
                self._write_mask(temporary, record, mask)
                codes = self._write_depth(temporary, record, depth)
                self._write_small(temporary, record, keypoints, background)
                done = self._complete(record, temporary, keypoints, codes)
                write_json(temporary / names.CLIP_FILE, _clip_document(done, codes))
                temporary.rename(self._folder(record.id))
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        self._known[record.id] = done
        return done

    def reject(self, reject: Reject) -> None:
        """Note that a clip was left out, at which stage and why."""
        with explained(self.root):
            self._rejects.add(reject)

    def rejects(self) -> dict[str, Reject]:
        """What was left out so far by id, the latest word on each."""
        return self._rejects.read()

    def finish(self) -> Dataset:
        """Write the manifest, the list of rejects and ``dataset.json`` from what lies on disk, and open the result.

        Several processes may do so: whoever comes last leaves the whole. Raises `NoClipsError` where there is no clip.
        """
        with explained(self.root), locked(self.root):
            if self._is_current():
                return Dataset.open(self.root)
            records = [record for name in self._clip_names() if (record := self.record(name)) is not None]
            rejects = self._rejects.settle(records)
            if not records:
                raise NoClipsError(f"{self.root}: no clip was written; see {names.REJECTS_FILE} for the reasons")
            write_manifest(self.root / names.MANIFEST_FILE, records)
            counts = _counts(records) | {"rejects": len(rejects)}
            write_json(self.root / names.DATASET_FILE, self._info | {"counts": counts})
        return Dataset.open(self.root)

    def _enter(self) -> None:
        """Make the root or check that it is ours; clear away what dead writers left."""
        clips = self.root / names.CLIPS_FOLDER
        names.begin(self.root / names.DATASET_FILE, self._info)
        clips.mkdir(exist_ok=True)
        clear(self.root)
        clear(clips, _TEMPORARY)

    def _folder(self, name: str) -> Path:
        return self.root / names.CLIPS_FOLDER / name

    def _clip_names(self) -> list[str]:
        """The folders of clips in order. A folder with its final name is whole."""
        folders = (self.root / names.CLIPS_FOLDER).iterdir()
        return sorted(folder.name for folder in folders if not folder.name.startswith("."))

    def _is_current(self) -> bool:
        """Whether nothing has changed since the last `finish`: then a run that found everything done need not write."""
        manifest, document = self.root / names.MANIFEST_FILE, self.root / names.DATASET_FILE
        if self._rejects.is_open() or not manifest.is_file():
            return False
        there = names.read_json(document, "a prepared dataset")
        written = manifest.stat().st_mtime_ns
        if there.pop("counts", None) is None or there != self._info or document.stat().st_mtime_ns < written:
            return False
        clips = self._clip_names()
        newest = max((self._folder(name).stat().st_mtime_ns for name in clips), default=written + 1)
        return newest < written and clips == Manifest(manifest).select(None, {}).ids()

    def _measured(self, record: ClipRecord, folder: Path, count: int) -> ClipRecord:
        height, width = read_ffv1(folder / names.FRAMES_FILE, 0, 1).shape[1:3]
        return dataclasses.replace(record, frames=count, height=height, width=width)

    def _write_mask(self, folder: Path, record: ClipRecord, mask: Iterable[NDArray[np.uint8]]) -> None:
        write_ffv1(folder / names.MASK_FILE, _fitting(mask, record, "mask"), "gray", record.fps)

    def _write_depth(self, folder: Path, record: ClipRecord, depth: DepthTrack | None) -> DepthCodes | None:
        if depth is None:
            return None
        _check_shape(record, "depth", depth.values, (record.frames, record.height, record.width))
        mask = read_ffv1(folder / names.MASK_FILE) if depth.scope == "person" else None
        codes = DepthCodes.fit(depth, depth_range(depth, mask, record.id))
        write_ffv1(folder / names.DEPTH_FILE, map(codes.encode, depth.values), "gray16", record.fps)
        return codes

    def _write_small(
        self, folder: Path, record: ClipRecord, keypoints: Keypoints, background: NDArray[np.uint8] | None
    ) -> None:
        if len(keypoints) != record.frames:
            raise DataError(f"clip {record.id}: {record.frames} frames but keypoints for {len(keypoints)}")
        keypoints.save(folder / names.KEYPOINTS_FILE)
        if background is not None:
            from PIL import Image

            _check_shape(record, "background", background, (record.height, record.width, 3))
            with open(folder / names.BACKGROUND_FILE, "wb") as file:
                Image.fromarray(background).save(file, format="PNG", compress_level=3)

    def _complete(self, record: ClipRecord, folder: Path, keypoints: Keypoints, codes: DepthCodes | None) -> ClipRecord:
        files = {file.name: file_hash(file) for file in sorted(folder.iterdir())}
        return dataclasses.replace(
            record,
            depth=codes.range if codes else None,
            keypoint_format=keypoints.format,
            files=files,
            sha256=dict_hash(files),
        )


def is_begun(root: Path) -> bool:
    """Whether there is a dataset in ``root``, be it unfinished."""
    return (root / names.DATASET_FILE).is_file()


def _counts(records: list[ClipRecord]) -> dict[str, Any]:
    splits = Counter(record.split for record in records)
    return {
        "clips": len(records),
        "frames": sum(record.frames for record in records),
        "splits": {split: splits[split] for split in sorted(splits)},
    }


def _fitting(track: Iterable[NDArray], record: ClipRecord, name: str) -> Iterator[NDArray]:
    """The track's frames, one for each of the clip's."""
    count = 0
    for frame in track:
        _check_shape(record, name, frame, (record.height, record.width))
        count += 1
        yield frame
    if count != record.frames:
        raise DataError(f"clip {record.id}: {record.frames} frames but {count} of the {name}")


def _check_shape(record: ClipRecord, name: str, array: NDArray, expected: tuple[int, ...]) -> None:
    if np.shape(array) != expected:
        raise DataError(f"clip {record.id}: {name} has shape {np.shape(array)}, the frames ask for {expected}")


def _clip_document(record: ClipRecord, codes: DepthCodes | None) -> dict[str, Any]:
    return {
        "format": "idol-clip",
        "version": FORMAT_VERSION,
        "record": record.to_dict(),
        "depth_codes": {"offset": codes.offset, "scale": codes.scale} if codes else None,
    }
