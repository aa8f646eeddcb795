"""Features on disk, found again by what made them: the frames' content, the extractor, the protocol.

So memory does not grow with the clips, a second run computes nothing twice, and shards carry what merging needs.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_eval.samples import EvalClip, SampleError


class FeatureStore:
    """Arrays float32 [n, D] by key, one ``.npy`` file each in ``folder``; ``also`` are folders to read from."""

    def __init__(self, folder: Path, also: Iterable[Path] = ()) -> None:
        self.folder = folder
        self._folders = (folder, *also)

    def get(self, key: str) -> NDArray[np.float32] | None:
        """The array, mapped rather than read; None where there is none."""
        for folder in self._folders:
            file = folder / f"{key}.npy"
            if file.is_file():
                try:
                    return np.load(file, mmap_mode="r", allow_pickle=False)
                except (ValueError, EOFError) as error:
                    raise SampleError(
                        f"{file}: is damaged ({error}); delete it and run the same command again"
                    ) from error
        return None

    def __getitem__(self, key: str) -> NDArray[np.float32]:
        """The array. Raises SampleError where there is none."""
        found = self.get(key)
        if found is None:
            raise SampleError(f"features {key} are not in {', '.join(map(str, self._folders))}; run that shard again")
        return found

    def put(self, key: str, features_nD: NDArray[np.float32]) -> None:
        """Keep an array; it appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        hidden = self.folder / f".{key}.{os.getpid()}.npy"
        np.save(hidden, np.asarray(features_nD, np.float32))
        hidden.replace(self.folder / f"{key}.npy")

    def rows(self, keys: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Arrays one after another."""
        for key in keys:
            yield self[key]


def clip_key(clip: EvalClip) -> str:
    """SHA-256 over a clip's frames, depth and mask, whichever it has."""
    digest = hashlib.sha256()
    for name in ("video", "depth", "mask"):
        track = getattr(clip, name)
        if track is not None:
            digest.update(f"{name} {track.dtype} {track.shape}".encode())
            digest.update(np.ascontiguousarray(track).data)
    return digest.hexdigest()


def rule_key(made_by: Mapping[str, Any]) -> str:
    """SHA-256 over what makes features, whatever the frames."""
    return hashlib.sha256(json.dumps(dict(made_by), sort_keys=True, default=dict).encode()).hexdigest()[:40]


def content_key(video_LHW3: NDArray[np.uint8], made_by: Mapping[str, Any]) -> str:
    """SHA-256 over pixels, shape and everything that turns them into features."""
    digest = hashlib.sha256(json.dumps([dict(made_by), list(video_LHW3.shape)], sort_keys=True, default=dict).encode())
    digest.update(np.ascontiguousarray(video_LHW3).data)
    return digest.hexdigest()[:40]
