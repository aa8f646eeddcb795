"""What an annotator is: frames in, one track out, and a note on who made the track.

An annotator sees a clip as a sequence of batches in order, and may carry state from one to the next (MediaPipe
follows a person). `reset` ends a clip, `close` lets the network and its threads go. Pose and mask annotators see whole
source frames; depth and DensePose annotators see cropped frames together with the cropped pose and mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose import Keypoints
from idol_prep.schema import Polarity, Scope

Kind = Literal["pose", "mask", "depth", "densepose"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatorInfo:
    """Who made a track; goes into ``clip.json`` and ``dataset.json``."""

    name: str
    kind: Kind
    version: str
    licence: str
    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each weight file, by file name."""
    commercial: bool = True
    """Whether code and weights may be used commercially; False too where that is not known."""
    source: str = ""
    """Where the weights come from; empty where they come with the package."""
    approximate: bool = False
    """Whether the track only stands in for the real quantity; said wherever the track shows."""
    note: str = ""

    def to_dict(self) -> dict:
        """Plain JSON types."""
        return asdict(self) | {"weights": dict(self.weights)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Relief:
    """A body's joints with their depth: what the `landmarks` depth grows from.

    ``xy`` float32 [L,33,2] in pixels of the frame, ``z`` float32 [L,33] in metres from the middle of the hips, larger
    is farther. NaN where there is no person.
    """

    xy: NDArray[np.float32]
    z: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseTrack:
    """Keypoints of the people in each frame, [L,P,K] (a missing joint has score 0), and the relief of a single one."""

    keypoints: Keypoints
    relief: Relief | None = None

    def part(self, start: int, stop: int) -> PoseTrack:
        """Frames ``start`` to ``stop``."""
        relief = None
        if self.relief is not None:
            relief = Relief(xy=self.relief.xy[start:stop], z=self.relief.z[start:stop])
        return PoseTrack(keypoints=self.keypoints.window(start, stop), relief=relief)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Consecutive frames of one clip, and what is known of them so far."""

    frames: NDArray[np.uint8]
    """[L,H,W,3], RGB."""
    shipped: Mapping[str, NDArray] = field(default_factory=dict)
    """Tracks that the dataset itself brings, by name: ``mask``, ``depth`` [L,H,W], ``densepose`` [L,H,W,3]."""
    pose: PoseTrack | None = None
    mask: NDArray[np.uint8] | None = None

    def part(self, start: int, stop: int) -> Batch:
        """Frames ``start`` to ``stop`` with all that is known of them."""
        some = slice(start, stop)
        return Batch(
            frames=self.frames[some],
            shipped={name: track[some] for name, track in self.shipped.items()},
            pose=None if self.pose is None else self.pose.part(start, stop),
            mask=None if self.mask is None else self.mask[some],
        )


@runtime_checkable
class PoseAnnotator(Protocol):
    """Finds people's joints; who the main one is, and who is who, is settled over the whole clip."""

    @property
    def info(self) -> AnnotatorInfo: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def pose(self, batch: Batch) -> PoseTrack: ...


@runtime_checkable
class MaskAnnotator(Protocol):
    """Says how much of each pixel is the main person: uint8 [L,H,W], 0 nothing, 255 all.

    One that sees several people gives a layer for each, [L,P,H,W]; the one that holds the subject's joints is taken.
    """

    @property
    def info(self) -> AnnotatorInfo: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def mask(self, batch: Batch) -> NDArray[np.uint8]: ...


@runtime_checkable
class DepthAnnotator(Protocol):
    """Gives raw depth float32 [L,H,W] in its own units, NaN where it says nothing.

    ``polarity`` tells which end is near (``distance``: larger is farther; ``inverse``: larger is nearer), ``scope``
    whether it covers the person or the whole frame.
    """

    polarity: Polarity
    scope: Scope

    @property
    def info(self) -> AnnotatorInfo: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def depth(self, batch: Batch) -> NDArray[np.float32]: ...


@runtime_checkable
class DensePoseAnnotator(Protocol):
    """Says where on the body's surface the subject's pixels lie: uint8 [L,H,W,3] in the layout of DensePose's files.

    V and U of the part's chart (0 to 255) and the part (1 to 24); all 0 off the subject.
    """

    @property
    def info(self) -> AnnotatorInfo: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def densepose(self, batch: Batch) -> NDArray[np.uint8]: ...


Annotator = PoseAnnotator | MaskAnnotator | DepthAnnotator | DensePoseAnnotator
