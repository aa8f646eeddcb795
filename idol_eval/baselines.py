"""Trivial answers, in the same table as the model's: what is known without any model.

Each is a `Candidate`: given the true clip it says what it would have shown. The true first frame, its mask, the clean
plate and the training set are what a model is given too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from idol_eval.readers import PreparedSet
from idol_eval.samples import EvalClip, SampleError
from idol_prep.schema import Polarity

Kind = Literal["measured", "ceiling", "baseline", "paper"]
Fit = Callable[[EvalClip], EvalClip]
"""Brings a clip to the size that is measured (`idol_eval.geometry`)."""


class Candidate(Protocol):
    """Something that answers a clip: a model's samples, a trivial answer, a ceiling."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def compares_features(self) -> bool:
        """Whether feature distances are wanted too; they cost most of the time."""
        ...

    def answer(self, truth: EvalClip) -> EvalClip: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """The true clips themselves: what alignment and found poses can reach at most with these annotations."""

    name: str = "true clips"
    kind: Kind = "ceiling"
    compares_features: bool = False

    def answer(self, truth: EvalClip) -> EvalClip:
        """The clip as it is."""
        return truth


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldStill:
    """The first frame's person pasted, where it stood, over the clean plate in every frame; depth of the first frame.

    Without a plate the first frame itself stays.
    """

    name: str = "first frame held still"
    kind: Kind = "baseline"
    compares_features: bool = False

    def answer(self, truth: EvalClip) -> EvalClip:
        """Frames and depth of the truth's shape."""
        video = None if truth.video is None else _repeated(self._picture(truth, truth.video[0]), truth)
        depth = None if truth.depth is None else _repeated(truth.depth[0], truth)
        return EvalClip(id=truth.id, video=video, depth=depth, rule=truth.rule)

    @staticmethod
    def _picture(truth: EvalClip, first: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if truth.background is None or truth.mask is None:
            return first
        return np.where(truth.mask[0][..., None] > 0, first, truth.background)


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedDepth:
    """One depth map [H, W], or one value, for every frame of every clip."""

    name: str
    depth: NDArray[np.float32]
    polarity: Polarity | None = None
    """Which end is near; None is the truth's."""
    kind: Kind = "baseline"
    compares_features: bool = False

    def answer(self, truth: EvalClip) -> EvalClip:
        """Depth of the truth's shape, no frames. Raises SampleError where the map has another size."""
        frames, height, width = truth.shape
        if self.depth.ndim and self.depth.shape != (height, width):
            raise SampleError(
                f"{self.name}: a map of {self.depth.shape[1]} x {self.depth.shape[0]} for clips of {width} x {height}; "
                "make it from training clips of this size (--train-data)"
            )
        depth = np.broadcast_to(self.depth, (frames, height, width))
        rule = replace(truth.rule, polarity=self.polarity or truth.rule.polarity)
        return EvalClip(id=truth.id, depth=depth, rule=rule)


def best_constant(clips: PreparedSet, ids: Sequence[str], fit: Fit, frames: int | None = None) -> FixedDepth:
    """The one value with the least squared error on these very clips: more than any method could know.

    Raises:
        SampleError: no clip has depth.
    """
    shapes = (fit(clips.read_shape(id, frames)) for id in ids)
    means = [float(clip.depth.mean(dtype=np.float64)) for clip in shapes if clip.depth is not None]
    if not means:
        raise SampleError(f"{clips.path}: no clip has depth; prepare it again with a depth annotator")
    return FixedDepth(name="best constant depth", depth=np.array(np.mean(means), dtype=np.float32))


def mean_depth(
    clips: PreparedSet, fit: Fit, progress: Callable[[int, int], None] = lambda done, total: None
) -> NDArray[np.float32]:
    """Mean depth map float32 [H, W] over all frames of ``clips`` (clips weigh equally), each passed through ``fit``.

    Raises:
        SampleError: a clip without depth, or clips of different sizes.
    """
    total: NDArray[np.float64] | None = None
    for done, id in enumerate(clips.ids, start=1):
        depth = fit(clips.read_shape(id)).depth
        if depth is None:
            raise SampleError(f"clip {id} of {clips.path}: has no depth; prepare it again with a depth annotator")
        own = depth.mean(axis=0, dtype=np.float64)
        if total is not None and total.shape != own.shape:
            raise SampleError(f"clip {id} of {clips.path}: is {own.shape}, others are {total.shape}; give one --size")
        total = own if total is None else total + own
        progress(done, len(clips.ids))
    if total is None:
        raise SampleError(f"{clips.path}: no clips to average")
    return (total / len(clips.ids)).astype(np.float32)


def save_mean_depth(
    file: Path, depth_HW: NDArray[np.float32], clips: int, content: str, polarity: Polarity | None = None
) -> None:
    """Keep a mean map, with how many clips and which dataset (its content hash) it came from, and which end is near."""
    about = {} if polarity is None else {"polarity": np.str_(polarity)}
    np.savez_compressed(file, depth=depth_HW, clips=np.int64(clips), content=np.str_(content), **about)


def training_mean(file: Path) -> FixedDepth:
    """The trivial answer "mean depth of the training set", from a file of `save_mean_depth`.

    Raises:
        FileNotFoundError: no such file.
        SampleError: another kind of file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file of a mean depth")
    try:
        with np.load(file, allow_pickle=False) as content:
            depth, known = content["depth"], str(content["polarity"]) if "polarity" in content else None
    except (KeyError, ValueError, OSError) as error:
        raise SampleError(f"{file}: holds no mean depth ({error}); make it from the training data again") from error
    return training_mean_of(depth, next((one for one in get_args(Polarity) if one == known), None))


def training_mean_of(depth_HW: NDArray[np.float32], polarity: Polarity | None = None) -> FixedDepth:
    """The same from a map in memory; ``polarity`` is that of the training clips."""
    return FixedDepth(name="training-mean depth", depth=depth_HW, polarity=polarity)


def _repeated(first: NDArray, truth: EvalClip) -> NDArray:
    return np.broadcast_to(first, (truth.shape[0], *first.shape))
