"""Making a cache, and going on with one that was broken off.

A cache grows in ``KEY.building/``; which clips are done is noted after their rows are on the disk. It is renamed when
whole. The processes of a run make it together, an even share of the clips each, in the same files; a lock keeps other
runs waiting until it is done.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from idol_model import data, pictures
from idol_model.data import DataShortage
from idol_model.latents.arrays import RowFile, reserve
from idol_model.latents.key import LatentSource, background_kinds, cache_key
from idol_model.latents.notes import Notes, write_json
from idol_model.latents.read import LatentCache
from idol_model.processes import Alone
from idol_prep import colormap
from idol_prep.schema import Clip, DataError

Listener = Callable[[int, int], None]
"""Called with (clips done, clips in all)."""

_CHUNK = 16
"""Pictures that go through the codec at once."""
_NOTED_EVERY = 32
"""Clips between two notes of what is done."""
_BUILDING = ".building"
_LOCK_SECONDS = 20.0
"""Between two attempts to lock a cache, so that the processes of a run do not miss the one that tries."""


def open_cache(
    root: Path, source: LatentSource, report: Listener | None = None, group: Alone | None = None
) -> LatentCache:
    """The cache of ``source`` below ``root``, made where it is not there yet, continued where it was broken off.

    Collective: all processes of ``group`` make it together. Only the main one is heard in ``report``.

    Raises:
        OSError: there is no room for it; nothing is left.
        ProcessMissing: a process did not end its share in time.
    """
    group = group or Alone()
    folder = root / cache_key(source)
    if not group.from_main(folder.is_dir()):
        root.mkdir(parents=True, exist_ok=True)
        with _locked(folder, group):
            if not group.from_main(folder.is_dir()):
                building = folder.with_name(folder.name + _BUILDING)
                _Build(building, source, group).all(report)
                if group.main:
                    os.replace(building, folder)
                group.wait("the latent cache is put in place")
    return LatentCache(folder)


@contextmanager
def _locked(folder: Path, group: Alone) -> Iterator[None]:
    """Keep other runs out while this one makes the cache; of its processes, the main one holds the lock."""
    lock = FileLock(f"{folder}.lock")
    while not group.from_main(group.main and _locks(lock)):
        pass
    try:
        yield
    finally:
        lock.release()


def _locks(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        return False
    return True


def remove_others(root: Path, kept: Iterable[LatentSource]) -> None:
    """Delete what caches of other weights, data or settings left below ``root``."""
    names = {cache_key(source) for source in kept}
    for path in root.glob("*"):
        if path.name.partition(".")[0] not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


class _Build:
    """One cache on its way: this process's share of it."""

    def __init__(self, folder: Path, source: LatentSource, group: Alone) -> None:
        self._folder, self._source, self._group = folder, source, group
        self._records = [source.dataset.clip(clip_id).record for clip_id in source.ids]
        self._ends = np.cumsum([record.frames for record in self._records])
        self._notes = Notes(folder, group.rank)

    def all(self, report: Listener | None) -> None:
        """Every clip that is not done yet, then the index. Collective."""
        group, total = self._group, len(self._records)
        # The main process makes the files, and knows from the notes of an earlier attempt what is left.
        left: list[int] = group.from_main(self._begin() if group.main else [])
        with ExitStack() as files:
            arrays = {name: files.enter_context(RowFile(self._folder / f"{name}.npy")) for name in self._shapes()}
            try:
                # Neighbouring clips lie in neighbouring rows, so each process writes stretches of its own.
                for number, position in enumerate(_share(left, group), 1):
                    self._one(arrays, position)
                    if number % _NOTED_EVERY == 0:
                        self._note(arrays)
                    if report:
                        report(min(total - len(left) + number * group.count, total), total)
            finally:
                self._note(arrays)  # also when it is broken off: what is done stays done
        group.wait("the latent cache, the clips of each process")
        if group.main:
            write_json(self._folder / "index.json", self._index())

    def _begin(self) -> list[int]:
        """Positions of the clips that are not done; makes the folder and its arrays where there is none."""
        if self._notes.exist():
            return self._notes.gathered(len(self._records))
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            for name, (shape, kind) in self._shapes().items():
                reserve(self._folder / f"{name}.npy", shape, kind)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self._notes.gathered(len(self._records))

    def _shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        encoders, size, clips = self._source.encoders, self._source.data.size, len(self._records)
        side = size // encoders.codec.factor
        latent = (encoders.codec.latent_channels, side, side)
        frames = int(self._ends[-1])
        return {
            "latents": ((frames, encoders.streams, *latent), np.float32),
            "poses": ((frames, size, size, 3), np.uint8),
            "foregrounds": ((clips, *_read_shape(self._source)), np.float32),
            "backgrounds": ((clips, len(background_kinds(self._source.data)), *latent), np.float32),
        }

    def _one(self, arrays: dict[str, RowFile], position: int) -> None:
        """Fill the rows of one clip; one that cannot be read is noted, and stays empty."""
        try:
            values = _clip_values(self._source, self._source.ids[position])
        except (DataShortage, DataError) as error:
            self._notes.add(position, unreadable=str(error))
            return
        first = int(self._ends[position]) - self._records[position].frames
        for name in ("latents", "poses"):
            arrays[name].write(first, values[name])
        for name in ("foregrounds", "backgrounds"):
            arrays[name].write(position, values[name][None])
        self._notes.add(position)

    def _note(self, arrays: dict[str, RowFile]) -> None:
        for array in arrays.values():
            array.flush()
        self._notes.write()

    def _index(self) -> dict[str, Any]:
        left = self._notes.gathered(len(self._records))
        assert not left, left
        return {
            "ids": list(self._source.ids),
            "lengths": [record.frames for record in self._records],
            "backgrounds": list(background_kinds(self._source.data)),
            "arrays": list(self._shapes()),
            "unreadable": self._notes.unreadable,
        }


def _share(positions: list[int], group: Alone) -> list[int]:
    """This process's part of what is left: a stretch of it, as long as any other's up to one."""
    count = len(positions)
    return positions[group.rank * count // group.count : (group.rank + 1) * count // group.count]


def _clip_values(source: LatentSource, clip_id: str) -> dict[str, np.ndarray]:
    """The rows of one clip in each array."""
    clip: Clip = source.dataset.clip(clip_id)
    config, stop = source.data, clip.record.frames
    foreground, reference = data.clip_references(clip)
    frames = pictures.signed(pictures.resize_pictures(clip.frames(), config.size))
    depth = pictures.signed(colormap.encode(source.tracks.depth(clip, config, 0, stop), config.colormap))
    found = {"reference": lambda: reference, "plate": lambda: data.clip_plate(clip)}
    plates = [pictures.resize_background(found[kind](), config.size) for kind in background_kinds(config)]
    return {
        "latents": _encoded(source, torch.stack([frames, depth])),
        "poses": source.tracks.poses(clip, config, 0, stop),
        "foregrounds": _read(source, foreground),
        "backgrounds": _encoded_pictures(source, pictures.background_tensor(np.stack(plates))),
    }


@torch.no_grad()
def _encoded(source: LatentSource, x_MLCHW: Tensor) -> np.ndarray:
    """Latents [L, S, c, h, w] of one clip's pictures."""
    encoders, device = source.encoders, _device(source)
    chunks = [chunk.unsqueeze(1).to(device) for chunk in x_MLCHW.split(_CHUNK, dim=1)]
    encoded = [encoders.codec.encode_clips(chunk, encoders.streams)[:, 0].float().cpu() for chunk in chunks]
    return torch.cat(encoded, dim=1).transpose(0, 1).numpy()


@torch.no_grad()
def _encoded_pictures(source: LatentSource, x_NCHW: Tensor) -> np.ndarray:
    return source.encoders.codec.encode_picture(x_NCHW.to(_device(source))).float().cpu().numpy()


@torch.no_grad()
def _read(source: LatentSource, rgba_HW4: np.ndarray) -> np.ndarray:
    """What the frozen part of the foreground encoder makes of a person."""
    encoder = source.encoders.foreground
    cropped = pictures.crop_foreground(rgba_HW4, encoder.input_size)
    x_BCHW = pictures.foreground_tensor(cropped[None], encoder).to(_device(source))
    return encoder.read(x_BCHW)[0].float().cpu().numpy()


def _read_shape(source: LatentSource) -> tuple[int, ...]:
    side = source.encoders.foreground.input_size
    with torch.no_grad():
        return tuple(source.encoders.foreground.read(torch.zeros(1, 3, side, side, device=_device(source))).shape[1:])


def _device(source: LatentSource) -> torch.device:
    return next(source.encoders.codec.parameters()).device
