"""Reading a cache of latents, window by window."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idol_model.data import DataShortage
from idol_model.windows import Window


@dataclass(frozen=True, slots=True)
class LatentSample:
    """One window out of a cache.

    z_SLCHW, background_CHW: scaled latents, float32. poses_LHW3: uint8. foreground: float32, what the frozen part of
    the foreground encoder made of the person (`idol_model.foreground`).
    """

    id: str
    z_SLCHW: NDArray[np.float32]
    background_CHW: NDArray[np.float32]
    poses_LHW3: NDArray[np.uint8]
    foreground: NDArray[np.float32]


class LatentCache:
    """Memory maps over all frames of all clips, clips one after another.

    latents [frames, S, c, h, w] float32, a window in one piece; poses [frames, H, W, 3] uint8; foregrounds
    [clips, ...] float32; backgrounds [clips, kinds, c, h, w] float32.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        info = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.ids: tuple[str, ...] = tuple(info["ids"])
        self.lengths: tuple[int, ...] = tuple(info["lengths"])
        self.unreadable: dict[int, str] = {int(clip): reason for clip, reason in info["unreadable"].items()}
        """Positions of clips that could not be read when the cache was made, and why."""
        self._kinds: tuple[str, ...] = tuple(info["backgrounds"])
        self._first = np.concatenate([[0], np.cumsum(self.lengths)])
        self._maps = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in info["arrays"]}

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def sample(self, window: Window) -> LatentSample:
        """One window, copied out of the maps.

        Raises:
            DataShortage: the clip could not be read when the cache was made.
        """
        if window.clip in self.unreadable:
            raise DataShortage(self.unreadable[window.clip])
        first = int(self._first[window.clip])
        rows = slice(first + window.start, first + window.stop)
        kind = self._kinds.index(window.background)
        return LatentSample(
            id=self.ids[window.clip],
            z_SLCHW=np.ascontiguousarray(self._maps["latents"][rows].swapaxes(0, 1)),
            background_CHW=np.array(self._maps["backgrounds"][window.clip, kind]),
            poses_LHW3=np.array(self._maps["poses"][rows]),
            foreground=np.array(self._maps["foregrounds"][window.clip]),
        )
