"""Writing a prepared dataset: whole clips or none; what is there is kept, what is left out is listed with a reason."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep import _files as names
from idol_prep._depth_codes import DepthCodes, depth_range
from idol_prep._errors import DataError
from idol_prep._ffv1 import read_ffv1, write_ffv1
from idol_prep._files import dict_hash, explained, file_hash, write_json
from idol_prep._manifest import write_manifest
from idol_prep._reader import Clip, Dataset
from idol_prep._records import FORMAT_VERSION, ClipRecord, DepthTrack
from idol_prep.pose.formats import Keypoints

_TEMPORARY = ".writing-"


class DatasetWriter:
    """Adds clips to the dataset in ``root``, which is made if it is not there.

    A clip is done when its folder has its final name; before, it lies in a temporary one, which the next writer clears
    away. Several processes may write different clips to one root; the last calls `finish`.

    ``recipe`` is what every clip of the dataset has in common (kind, seed, size, annotators, ...): opening a root that
    was written with another recipe raises `DataError`. ``info`` is further matter for ``dataset.json``.
    """

    def __init__(self, root: Path, *, recipe: Mapping[str, Any], info: Mapping[str, Any] | None = None) -> None:
        self.root = Path(root)
        self._info = {
            "format": "idol-dataset",
            "version": FORMAT_VERSION,
            "recipe": json.loads(json.dumps(recipe)),
            **(info or {}),
        }
        with explained(self.root):
            self._enter()

    def has(self, clip_id: str) -> bool:
        """Whether that clip is already written whole."""
        return (self._folder(clip_id) / names.CLIP_FILE).is_file()

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
        if self.has(record.id):
            return Clip.open(self._folder(record.id)).record
        temporary = self._folder(f"{_TEMPORARY}{record.id}.{socket.gethostname()}-{os.getpid()}")
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
        return done

    def reject(self, clip_id: str, *, source: str, stage: str, reason: str) -> None:
        """Note in ``rejects.jsonl`` that a clip was left out, at which stage and why."""
        line = json.dumps({"id": clip_id, "source": source, "stage": stage, "reason": reason}) + "\n"
        with explained(self.root), open(self.root / names.REJECTS_FILE, "a", encoding="utf-8") as file:
            file.write(line)

    def rejects(self) -> list[dict[str, str]]:
        """What was left out so far, the latest word on each id."""
        file = self.root / names.REJECTS_FILE
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        return list({entry["id"]: entry for entry in map(json.loads, lines)}.values())

    def finish(self) -> Dataset:
        """Write the manifest and ``dataset.json`` from the clips on disk, and open the result."""
        records = [Clip.open(folder).record for folder in self._clip_folders()]
        if not records:
            raise DataError(f"{self.root}: no clip was written; see {names.REJECTS_FILE} for the reasons")
        counts = {
            "clips": len(records),
            "frames": sum(record.frames for record in records),
            "rejects": len(self.rejects()),
            "splits": {split: [r.split for r in records].count(split) for split in sorted({r.split for r in records})},
        }
        with explained(self.root):
            write_manifest(self.root / names.MANIFEST_FILE, records)
            write_json(self.root / names.DATASET_FILE, self._info | {"counts": counts})
        return Dataset.open(self.root)

    def _enter(self) -> None:
        """Make the root or check that it is ours; clear away what dead writers left."""
        clips, document = self.root / names.CLIPS_FOLDER, self.root / names.DATASET_FILE
        if document.is_file():
            self._check_same(names.read_json(document, "a prepared dataset"), document)
        elif self.root.is_dir() and any(self.root.iterdir()):
            raise DataError(f"{self.root}: is not empty and no prepared dataset; choose another folder")
        clips.mkdir(parents=True, exist_ok=True)
        if not document.is_file():
            write_json(document, self._info)
        for leftover in clips.glob(f"{_TEMPORARY}*"):
            if _is_abandoned(leftover.name):
                shutil.rmtree(leftover, ignore_errors=True)

    def _check_same(self, there: dict[str, Any], document: Path) -> None:
        names.check_version(document, there)
        old, new = there.get("recipe", {}), self._info["recipe"]
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                raise DataError(
                    f"{self.root}: holds clips made with {key}={old.get(key)!r}, not {new.get(key)!r}; "
                    "choose another folder or the same settings"
                )

    def _folder(self, name: str) -> Path:
        return self.root / names.CLIPS_FOLDER / name

    def _clip_folders(self) -> Iterator[Path]:
        for folder in sorted((self.root / names.CLIPS_FOLDER).iterdir()):
            if not folder.name.startswith(".") and (folder / names.CLIP_FILE).is_file():
                yield folder

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


def _is_abandoned(name: str) -> bool:
    """Whether the process that wrote this temporary folder is gone. One process has one writer a root."""
    host, _, pid = name.rpartition("-")
    if not host.endswith(f".{socket.gethostname()}") or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


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
