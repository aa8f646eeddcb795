"""Making a cache, and going on with one that was broken off.

A cache grows in ``KEY.building/``; how many clips are done is noted after their rows are on the disk. It is renamed
when whole. A lock keeps a second process waiting until the first is done.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.lib.format import open_memmap
from torch import Tensor

from idol_model import data, pictures
from idol_model.data import DataShortage
from idol_model.latents.key import LatentSource, background_kinds, cache_key
from idol_model.latents.read import LatentCache
from idol_prep import colormap
from idol_prep.schema import Clip, DataError

Listener = Callable[[int, int], None]
"""Called with (clips done, clips in all)."""

_CHUNK = 16
"""Pictures that go through the codec at once."""
_NOTED_EVERY = 32
"""Clips between two notes of how far the work is."""
_BUILDING, _DONE = ".building", "done.json"


def open_cache(root: Path, source: LatentSource, report: Listener | None = None) -> LatentCache:
    """The cache of ``source`` below ``root``, made where it is not there yet, continued where it was broken off.

    Raises:
        OSError: there is no room for it; nothing is left.
    """
    folder = root / cache_key(source)
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _Build(folder.with_name(folder.name + _BUILDING), source).all(report)
                os.replace(folder.with_name(folder.name + _BUILDING), folder)
    return LatentCache(folder)


def remove_others(root: Path, kept: Iterable[LatentSource]) -> None:
    """Delete what caches of other weights, data or settings left below ``root``."""
    names = {cache_key(source) for source in kept}
    for path in root.glob("*"):
        if path.name.partition(".")[0] not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


class _Build:
    """One cache on its way."""

    def __init__(self, folder: Path, source: LatentSource) -> None:
        self._folder, self._source = folder, source
        self._records = [source.dataset.clip(clip_id).record for clip_id in source.ids]
        self._ends = np.cumsum([record.frames for record in self._records])
        self._unreadable: dict[str, str] = {}

    def all(self, report: Listener | None) -> None:
        """Every clip that is not done yet, then the index."""
        begin = self._begin()
        arrays = self._arrays()
        for position in range(begin, len(self._records)):
            self._one(arrays, position)
            if (position + 1) % _NOTED_EVERY == 0:
                self._note(arrays, position + 1)
            if report:
                report(position + 1, len(self._records))
        self._note(arrays, len(self._records))
        _write(self._folder / "index.json", self._index(arrays))

    def _begin(self) -> int:
        """How many clips are done; makes the folder and its arrays where there is none."""
        note = self._folder / _DONE
        if note.exists():
            found = json.loads(note.read_text(encoding="utf-8"))
            self._unreadable = found["unreadable"]
            return int(found["done"])
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            for name, (shape, kind) in self._shapes().items():
                _reserve(self._folder / f"{name}.npy", shape, kind)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        _write(note, {"done": 0, "unreadable": {}})
        return 0

    def _shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        model, size, clips = self._source.model, self._source.data.size, len(self._records)
        latent = (model.codec.latent_channels, size // model.codec.factor, size // model.codec.factor)
        frames = int(self._ends[-1])
        return {
            "latents": ((frames, model.streams, *latent), np.float32),
            "poses": ((frames, size, size, 3), np.uint8),
            "foregrounds": ((clips, *_read_shape(self._source)), np.float32),
            "backgrounds": ((clips, len(background_kinds(self._source.data)), *latent), np.float32),
        }

    def _arrays(self) -> dict[str, np.memmap]:
        return {name: open_memmap(self._folder / f"{name}.npy", mode="r+") for name in self._shapes()}

    def _one(self, arrays: dict[str, np.memmap], position: int) -> None:
        """Fill the rows of one clip; one that cannot be read is noted, and stays empty."""
        try:
            values = _clip_values(self._source, self._source.ids[position])
        except (DataShortage, DataError) as error:
            self._unreadable[str(position)] = str(error)
            return
        rows = slice(int(self._ends[position]) - self._records[position].frames, int(self._ends[position]))
        for name, where in {"latents": rows, "poses": rows, "foregrounds": position, "backgrounds": position}.items():
            arrays[name][where] = values[name]

    def _note(self, arrays: dict[str, np.memmap], done: int) -> None:
        for array in arrays.values():
            array.flush()
        _write(self._folder / _DONE, {"done": done, "unreadable": self._unreadable})

    def _index(self, arrays: dict[str, np.memmap]) -> dict[str, Any]:
        return {
            "ids": list(self._source.ids),
            "lengths": [record.frames for record in self._records],
            "backgrounds": list(background_kinds(self._source.data)),
            "arrays": list(arrays),
            "unreadable": self._unreadable,
        }


def _reserve(path: Path, shape: tuple[int, ...], kind: type) -> None:
    """An empty array on disk with its space taken: a disk that fills up under a memory map would kill the process."""
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


def _write(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    os.replace(temporary, path)


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
    model, device = source.model, _device(source)
    chunks = [chunk.unsqueeze(1).to(device) for chunk in x_MLCHW.split(_CHUNK, dim=1)]
    encoded = [model.codec.encode_clips(chunk, model.streams)[:, 0].float().cpu() for chunk in chunks]
    return torch.cat(encoded, dim=1).transpose(0, 1).numpy()


@torch.no_grad()
def _encoded_pictures(source: LatentSource, x_NCHW: Tensor) -> np.ndarray:
    return source.model.codec.encode_picture(x_NCHW.to(_device(source))).float().cpu().numpy()


@torch.no_grad()
def _read(source: LatentSource, rgba_HW4: np.ndarray) -> np.ndarray:
    """What the frozen part of the foreground encoder makes of a person."""
    encoder = source.model.foreground
    cropped = pictures.crop_foreground(rgba_HW4, encoder.input_size)
    x_BCHW = pictures.foreground_tensor(cropped[None], encoder).to(_device(source))
    return encoder.read(x_BCHW)[0].float().cpu().numpy()


def _read_shape(source: LatentSource) -> tuple[int, ...]:
    side = source.model.foreground.input_size
    with torch.no_grad():
        return tuple(source.model.foreground.read(torch.zeros(1, 3, side, side, device=_device(source))).shape[1:])


def _device(source: LatentSource) -> torch.device:
    return next(source.model.codec.parameters()).device
