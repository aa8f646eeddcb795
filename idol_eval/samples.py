"""Folders of clips as one thing: `open_set` finds out what a folder is, `pair` matches two of them by clip id.

Read are sample folders (``docs/sample_format.md``), prepared datasets, folders of pictures and folders of videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose import Keypoints
from idol_prep.schema import Split


class SampleError(ValueError):
    """A folder, clip or pair that cannot be measured as it is; the message names it and the fix."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthRule:
    """What values in [0, 1] mean. Polarity None is unknown; scope "frame" has no separate background."""

    person: tuple[float, float] = (0.0, 0.75)
    background: float = 1.0
    polarity: Literal["distance", "inverse"] | None = None
    scope: Literal["person", "frame"] = "person"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalClip:
    """One clip in memory; what is None is not known.

    video: uint8 [L, H, W, 3]. depth: float32 [L, H, W] in [0, 1] by ``rule``. mask: uint8 [L, H, W], people
    non-zero. background: uint8 [H, W, 3], the clean plate. keypoints: joints in pixels of these frames.
    """

    id: str
    video: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None
    mask: NDArray[np.uint8] | None = None
    background: NDArray[np.uint8] | None = None
    keypoints: Keypoints | None = None
    rule: DepthRule = DepthRule()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        present = self.video if self.video is not None else self.depth
        if present is None:
            raise SampleError(f"clip {self.id}: neither frames nor depth")
        return present.shape[0], present.shape[1], present.shape[2]


class ClipSet(Protocol):
    """Clips by id, read one at a time."""

    @property
    def path(self) -> Path: ...
    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def lossy(self) -> bool:
        """Whether pixels went through a lossy codec, which moves every score of frames."""
        ...

    def read(self, id: str, frames: int | None = None) -> EvalClip:
        """The clip, or its first ``frames`` frames."""
        ...

    def describe(self) -> dict[str, Any]:
        """What a result records of the set."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """Clips found on both sides, as (sample id, reference id), and reference clips without a sample."""

    pairs: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a row says of clips that have no partner, or one of another name."""
        said = [
            f"{own} is compared with {true}, the only clip on either side" for own, true in self.pairs if own != true
        ]
        if self.unused:
            said.append(f"{len(self.unused)} reference clips have no sample and are left out: {few(self.unused)}")
        return tuple(said)


def open_set(path: Path, *, split: Split | None = None, rule: DepthRule | None = None) -> ClipSet:
    """The clips under ``path``. ``split`` and ``rule`` are for prepared datasets.

    Raises:
        FileNotFoundError: no such folder.
        SampleError: nothing in it that is known, or several kinds mixed.
    """
    from idol_eval import readers

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if (path / "dataset.json").is_file():
        return readers.PreparedSet(path, split=split, rule=rule or DepthRule())
    for reader in (readers.SampleSet, readers.PictureSet, readers.VideoSet):
        found = reader.find(path)
        if found is not None:
            return found
    raise SampleError(
        f"{path}: no clips found; give a prepared dataset, a folder of samples, of one folder of PNG files a clip, "
        "or of video files"
    )


def pair(samples: ClipSet, reference: ClipSet, limit: int | None = None) -> Pairing:
    """Match by id, in the reference's order, the first ``limit`` of them. Two sets of one clip each match as they are.

    Raises:
        SampleError: a sample without a reference clip.
    """
    if len(samples.ids) == len(reference.ids) == 1:
        return Pairing(pairs=((samples.ids[0], reference.ids[0]),))
    missing = sorted(set(samples.ids) - set(reference.ids))
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SampleError(
            f"{samples.path}: {few(missing, 3)} {verb} not among the {len(reference.ids)} reference clips of "
            f"{reference.path}; name the samples after the clips, or choose another --reference or --split"
        )
    wanted = set(samples.ids)
    pairs = tuple((id, id) for id in reference.ids if id in wanted)[:limit]
    return Pairing(pairs=pairs, unused=tuple(id for id in reference.ids if id not in wanted))


def few(names: Sequence[str], most: int = 5) -> str:
    """The first ones, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
