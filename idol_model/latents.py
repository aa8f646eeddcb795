"""Latents of every training picture, made once and read as memory maps.

The folder's name is a hash of everything the content depends on (codec weights, data set, data settings, foreground
size), so a cache is right or is not found. It is built under a temporary name and renamed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from idol_model import data, pictures
from idol_model.config import to_dict
from idol_model.model import IdolModel
from idol_model.recipe import DataConfig
from idol_model.types import LatentBatch
from idol_model.windows import Window
from idol_prep import colormap
from idol_prep.schema import Clip, Dataset

VERSION = 1
_BACKGROUNDS: tuple[data.BackgroundKind, ...] = ("reference", "plate")
_CHUNK = 16
"""Pictures that go through the codec at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSource:
    """What a cache is made from."""

    dataset: Dataset
    ids: Sequence[str]
    data: DataConfig
    model: IdolModel


class LatentCache:
    """Memory maps over all frames of all clips, clips one after another.

    latents [S, frames, c, h, w] float32; poses [frames, H, W, 3] uint8; foregrounds [clips, s, s, 4] uint8;
    backgrounds [clips, kinds, c, h, w] float32.
    """

    def __init__(self, folder: Path) -> None:
        info = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.ids: tuple[str, ...] = tuple(info["ids"])
        self.lengths: tuple[int, ...] = tuple(info["lengths"])
        self._kinds: tuple[str, ...] = tuple(info["backgrounds"])
        self._first = np.concatenate([[0], np.cumsum(self.lengths)])
        self._maps = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in info["arrays"]}

    @classmethod
    def open(cls, root: Path, source: LatentSource, report: Callable[[int, int], None] | None = None) -> "LatentCache":
        """The cache of ``source`` below ``root``, built where it is not there yet."""
        folder = root / cache_key(source)
        if not folder.is_dir():
            for stale in root.glob("*"):
                shutil.rmtree(stale, ignore_errors=True)
            _build(folder, source, report)
        return cls(folder)

    def batch(self, windows: Sequence[Window], look: pictures.ForegroundLook) -> LatentBatch:
        """The batch of these windows, on the CPU."""
        left_out = [window.foreground_left_out for window in windows]
        foregrounds = np.stack([self._maps["foregrounds"][window.clip] for window in windows])
        return LatentBatch(
            ids=tuple(self.ids[window.clip] for window in windows),
            z_SBLCHW=torch.from_numpy(np.stack([self._maps["latents"][:, self._rows(w)] for w in windows], axis=1)),
            background_BCHW=torch.from_numpy(np.stack([self._background(window) for window in windows])),
            pose_BLCHW=pictures.unsigned(np.stack([self._maps["poses"][self._rows(w)] for w in windows])),
            foreground_BCHW=data.drop_foregrounds(pictures.foreground_tensor(foregrounds, look), left_out),
        )

    def _rows(self, window: Window) -> slice:
        first = int(self._first[window.clip])
        return slice(first + window.start, first + window.stop)

    def _background(self, window: Window) -> np.ndarray:
        return self._maps["backgrounds"][window.clip, self._kinds.index(window.background)]


def cache_key(source: LatentSource) -> str:
    """Hash of all that the cache's content depends on, 32 hexadecimal digits."""
    parts = {
        "version": VERSION,
        "codec": weights_hash(source.model.codec.state_dict()),
        "dataset": source.dataset.content_hash,
        "ids": list(source.ids),
        "data": to_dict(source.data),
        "streams": source.model.streams,
        "foreground_size": source.model.foreground.input_size,
        "margin": pictures.FOREGROUND_MARGIN,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def weights_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes of a state dict."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def background_kinds(config: DataConfig) -> tuple[data.BackgroundKind, ...]:
    """Which backgrounds a recipe trains on."""
    return _BACKGROUNDS if config.background == "mixed" else (config.background,)


def _build(folder: Path, source: LatentSource, report: Callable[[int, int], None] | None) -> None:
    temporary = folder.with_name(f"{folder.name}.writing-{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        _fill(temporary, source, report)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    os.replace(temporary, folder)


def _fill(folder: Path, source: LatentSource, report: Callable[[int, int], None] | None) -> None:
    records = [source.dataset.clip(clip_id).record for clip_id in source.ids]
    arrays = _create(folder, source, sum(record.frames for record in records))
    start = 0
    for position, record in enumerate(records):
        stop = start + record.frames
        _fill_clip(arrays, position, slice(start, stop), source)
        start = stop
        if report:
            report(position + 1, len(records))
    for array in arrays.values():
        array.flush()
    index = {
        "ids": list(source.ids),
        "lengths": [record.frames for record in records],
        "backgrounds": list(background_kinds(source.data)),
        "arrays": list(arrays),
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _create(folder: Path, source: LatentSource, frames: int) -> dict[str, np.memmap]:
    codec, size = source.model.codec, source.data.size
    latent = (codec.latent_channels, size // codec.factor, size // codec.factor)
    clips, kinds = len(source.ids), len(background_kinds(source.data))
    side = source.model.foreground.input_size
    shapes = {
        "latents": ((source.model.streams, frames, *latent), np.float32),
        "poses": ((frames, size, size, 3), np.uint8),
        "foregrounds": ((clips, side, side, 4), np.uint8),
        "backgrounds": ((clips, kinds, *latent), np.float32),
    }
    return {name: _reserved(folder / f"{name}.npy", shape, kind) for name, (shape, kind) in shapes.items()}


def _reserved(path: Path, shape: tuple[int, ...], kind: type) -> np.memmap:
    """An empty array on disk with its space taken: a disk that fills up under a memory map would kill the process."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    try:
        array = open_memmap(path, mode="w+", dtype=kind, shape=shape)
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, array.offset + size)
    except OSError as error:
        raise OSError(
            f"{path}: no room for {size / 1e9:.1f} GB of the latent cache ({error.strerror}); free some space, "
            "choose another folder with -o, or set stages.N.cache_latents=false"
        ) from None
    return array


def _fill_clip(arrays: dict[str, np.memmap], position: int, rows: slice, source: LatentSource) -> None:
    clip: Clip = source.dataset.clip(source.ids[position])
    config, look = source.data, source.model.foreground
    foreground, reference = data.clip_references(clip)
    frames = pictures.signed(pictures.resize_pictures(clip.frames(), config.size))
    depth = pictures.signed(colormap.encode(data.clip_depth(clip, config), config.colormap))
    found = {"reference": lambda: reference, "plate": lambda: data.clip_plate(clip)}
    backgrounds = [pictures.resize_background(found[kind](), config.size) for kind in background_kinds(config)]
    arrays["latents"][:, rows] = _encode(source.model, torch.stack([frames, depth]))
    arrays["poses"][rows] = data.clip_poses(clip, config.size, style=data.POSE_STYLES[config.pose])
    arrays["foregrounds"][position] = pictures.crop_foreground(foreground, look.input_size)
    plates = pictures.background_tensor(np.stack(backgrounds)).to(_device(source.model))
    with torch.no_grad():
        arrays["backgrounds"][position] = source.model.codec.encode_picture(plates).float().cpu().numpy()


@torch.no_grad()
def _encode(model: IdolModel, x_MLCHW: Tensor) -> np.ndarray:
    """Latent streams [S, L, c, h, w] of one clip's pictures."""
    chunks = [chunk.unsqueeze(1).to(_device(model)) for chunk in x_MLCHW.split(_CHUNK, dim=1)]
    encoded = [model.codec.encode_clips(chunk, model.streams)[:, 0].float().cpu() for chunk in chunks]
    return torch.cat(encoded, dim=1).numpy()


def _device(model: IdolModel) -> torch.device:
    return next(model.codec.parameters()).device
