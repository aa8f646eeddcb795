"""What a cache is made from, and the name that follows from it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from idol_model import codecs, foreground, pictures
from idol_model.codecs import Codec
from idol_model.config import to_dict
from idol_model.data import BackgroundKind, Tracks
from idol_model.foreground import Foreground
from idol_model.model import IdolModel
from idol_model.recipe import DataConfig
from idol_prep.schema import Dataset

VERSION = 2
WITHOUT_EFFECT = ("foreground_dropout", "most_faults", "augment")
"""Data settings that no cached value depends on. Any other, and any new one, is part of the key."""
_BACKGROUNDS: tuple[BackgroundKind, ...] = ("reference", "plate")


@dataclass(frozen=True, slots=True)
class Encoders:
    """The parts of a model that make latents, whole in this process: no engine splits their weights."""

    codec: Codec
    foreground: Foreground
    streams: int

    @classmethod
    def of(cls, model: IdolModel) -> "Encoders":
        """Those of a model that no engine has split."""
        return cls(model.codec, model.foreground, model.streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSource:
    """What a cache is made from."""

    dataset: Dataset
    ids: Sequence[str]
    data: DataConfig
    tracks: Tracks
    encoders: Encoders


def cache_key(source: LatentSource) -> str:
    """Hash of all that the cache's content depends on, 32 hexadecimal digits.

    Classes are named by the configuration: an engine gives an instance a class of its own.
    """
    codec, encoder = source.encoders.codec, source.encoders.foreground
    parts = {
        "version": VERSION,
        "codec": [codecs.class_of(codec.sizes).__name__, to_dict(codec.sizes), weights_hash(codec.state_dict())],
        "foreground": [
            foreground.class_of(encoder.sizes).__name__,
            to_dict(encoder.sizes),
            weights_hash(encoder.frozen_state()),
        ],
        "look": [encoder.input_size, encoder.mean, encoder.std, pictures.FOREGROUND_MARGIN],
        "dataset": source.dataset.content_hash,
        "ids": list(source.ids),
        "data": {name: value for name, value in to_dict(source.data).items() if name not in WITHOUT_EFFECT},
        "tracks": [source.tracks.depth.__name__, source.tracks.poses.__name__],
        "streams": source.encoders.streams,
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


def background_kinds(config: DataConfig) -> tuple[BackgroundKind, ...]:
    """Which backgrounds a recipe trains on."""
    return _BACKGROUNDS if config.background == "mixed" else (config.background,)
