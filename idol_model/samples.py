"""Generated samples on disk (``docs/sample_format.md``): one folder a video, whole or not there.

Frames and depth are lossless and are what gets measured; the two mp4 files are to look at. Everything is written while
generation goes on, so memory does not grow with the video's length.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Any, Literal

import numpy as np

from idol_model import provenance
from idol_model.device import dtype_name
from idol_model.outputs import VideoOutput
from idol_model.pipeline import IdolPipeline
from idol_model.recipe import Recipe
from idol_prep.schema import Polarity
from idol_prep.video import Layout, write_ffv1, write_mp4

FORMAT, VERSION = "idol-sample", 1
RECORD = "sample.json"
_TEMPORARY = ".writing-"
_WAITING = 16
"""Frames that may wait for an encoder."""
_LOSSLESS: dict[str, Layout] = {"frames.mkv": "rgb", "depth.mkv": "gray16"}
"""Tracks that get measured; the others are previews."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleInfo:
    """What is known of a sample before its first frame. ``checkpoint`` holds ``path`` and ``sha256``, and
    with LoRA ``lora``, path, sha256 and scale of each file.

    ``depth_polarity`` says which end of its depth is near, where it has one.
    """

    id: str
    fps: float
    seed: int
    steps: int
    guidance: float
    recipe: Recipe
    dtype: str
    """What the networks computed in, as torch names it: ``float32``, ``bfloat16``."""
    checkpoint: dict[str, Any]
    depth_polarity: Polarity

    @classmethod
    def of(
        cls, pipe: IdolPipeline, checkpoint: dict[str, Any], *, id: str, fps: float, **settings: Any
    ) -> "SampleInfo":
        """For a sample of ``pipe``; ``settings`` are seed, steps and guidance, the recipe's where left out or None."""
        default = pipe.recipe.sampling
        chosen = {"seed": 0, "steps": default.steps, "guidance": default.guidance}
        chosen |= {name: value for name, value in settings.items() if value is not None}
        about = {"recipe": pipe.recipe, "checkpoint": checkpoint, "depth_polarity": pipe.depth_polarity}
        return cls(id=id, fps=fps, dtype=dtype_name(pipe.unet.dtype), **about, **chosen)


class SampleWriter:
    """Writes one sample folder, piece by piece.

    >>> with SampleWriter(folder, info) as writer:
    ...     for piece in pipe.stream(foreground, background, poses):
    ...         writer.append(piece)
    ...     writer.finish(timings={"seconds": 12.5})

    Until `finish` everything lies in a hidden folder beside ``folder``, which an error or Ctrl-C removes again; a
    folder that is already there is replaced at that moment and not before.
    """

    def __init__(self, folder: Path, info: SampleInfo) -> None:
        self.folder, self.info, self.frames = folder, info, 0
        self.path = folder.with_name(f"{_TEMPORARY}{folder.name}-{os.getpid()}")
        self._size = [0, 0]
        self._tracks: dict[str, _Track] = {}

    def __enter__(self) -> "SampleWriter":
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        return self

    def append(self, piece: VideoOutput) -> None:
        """The next frames; every piece has the same tracks."""
        for name, frames in piece.tracks.items():
            self._track(name).put(frames)
        self.frames += len(piece.video)
        _, *self._size, _ = piece.video.shape

    def finish(self, timings: dict[str, float], then: Callable[[Path], object] = lambda folder: None) -> dict[str, Any]:
        """Close all files, write the record, call ``then`` on the folder (for exports), and make it visible.

        Returns the record. Raises ValueError if no frames came.
        """
        if self.frames == 0:
            raise ValueError(f"{self.folder}: no frames to write")
        for track in self._tracks.values():
            track.close()
        for path in self.path.glob("*.mp4"):
            provenance.label_mp4(path)
        record = sample_record(self.info, self.frames, self._size, timings)
        (self.path / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        then(self.path)
        _replace(self.path, self.folder)
        return record

    def _track(self, name: str) -> "_Track":
        if name not in self._tracks:
            self._tracks[name] = _Track(_writer(self.path / name, self.info.fps))
        return self._tracks[name]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        for track in self._tracks.values():
            track.abandon()
        shutil.rmtree(self.path, ignore_errors=True)
        return False


def _writer(path: Path, fps: float) -> Callable[[Iterator[np.ndarray]], object]:
    """What writes the track of that name."""
    layout = _LOSSLESS.get(path.name)
    if layout is None:
        return lambda frames: write_mp4(path, frames, fps)
    return lambda frames: write_ffv1(path, frames, layout, fps)


def sample_record(info: SampleInfo, frames: int, size: list[int], timings: dict[str, float]) -> dict[str, Any]:
    """The content of ``sample.json``."""
    data = info.recipe.data
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": info.id,
        "frames": frames,
        "height": size[0],
        "width": size[1],
        "fps": info.fps,
        "seed": info.seed,
        "steps": info.steps,
        "guidance": info.guidance,
        "dtype": info.dtype,
        "recipe": info.recipe.name,
        "checkpoint": info.checkpoint,
        "colormap": data.colormap,
        "depth": _depth_record(info) if info.recipe.makes_depth else None,
        "timings": timings,
        "provenance": provenance.record(),
    }


def _depth_record(info: SampleInfo) -> dict[str, Any]:
    data = info.recipe.data
    return {
        "polarity": info.depth_polarity,
        "person": list(data.person_depth),
        "background": data.background_depth,
    }


class _Track:
    """Lets frames be pushed into a function that pulls them, in a thread of its own; its error reaches the pusher."""

    def __init__(self, write: Callable[[Iterator[np.ndarray]], object]) -> None:
        self._queue: Queue[np.ndarray | None] = Queue(_WAITING)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = Thread(target=self._run, args=(write,), daemon=True)
        self._thread.start()

    def put(self, frames: np.ndarray) -> None:
        for frame in frames:
            self._check()
            self._queue.put(np.ascontiguousarray(frame))

    def close(self) -> None:
        """All frames are given: wait until they are written."""
        self._queue.put(None)
        self._thread.join()
        self._check()

    def abandon(self) -> None:
        """Stop, whatever the state; the file is of no use any more."""
        self._dropped = True
        while self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=1)

    def _run(self, write: Callable[[Iterator[np.ndarray]], object]) -> None:
        try:
            write(self._frames())
        except BaseException as error:
            self._error = error
        finally:
            self._drain()

    def _frames(self) -> Iterator[np.ndarray]:
        while (frame := self._queue.get()) is not None and not self._dropped:
            yield frame

    def _drain(self) -> None:
        """After an error nobody reads: whoever waits for room must not wait for ever."""
        self._dropped = True
        while not self._queue.empty():
            self._queue.get()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


def _replace(temporary: Path, final: Path) -> None:
    """Put the whole folder in place; an old one goes only when the new one is there to follow."""
    going = final.with_name(f"{_TEMPORARY}gone-{final.name}-{os.getpid()}")
    if final.exists():
        os.replace(final, going)
    os.replace(temporary, final)
    shutil.rmtree(going, ignore_errors=True)
