"""NTU RGB+D 120 as published: ``nturgbd_rgb_s001.zip`` and so on, videos read straight from them.

Skeleton files (``.skeleton``, in archives or not, anywhere below the same folder) say where in the 1920 x 1080 pictures
the people are: a clip is cut to that part, once for all its frames, before anything else looks at it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from idol_prep import video
from idol_prep.schema import DataError, Split
from idol_prep.sources import ClipLook, RawFrame, read_split_file
from idol_prep.sources._archives import Member, members
from idol_prep.sources._ntu_names import Sample, Selection

FPS = 30.0
_ROOM = 1.3
"""Side of the cut over the joints' extent: joints end at wrists and inside the head."""
_JOINTS, _COLOUR_X, _COLOUR_Y = 25, 5, 6


@dataclass(frozen=True, kw_only=True, slots=True)
class NTUClip:
    """One sample's video, with its skeleton file where there is one."""

    sample: Sample
    member: Member
    split: Split
    skeleton: Member | None

    @property
    def id(self) -> str:
        """The sample's name."""
        return str(self.sample)

    @property
    def origin(self) -> str:
        """Archive and member."""
        archive = self.member.archive
        return f"{archive.name}/{self.member.name}" if archive else self.member.base

    @property
    def stamp(self) -> str:
        """Changes with the video's length, and when a skeleton is added."""
        return f"{self.member.size} bytes, {'with' if self.skeleton else 'no'} skeleton"

    def look(self) -> ClipLook:
        """Size after the cut; notes whether a skeleton said where."""
        info = video.probe(self.member.stream(), str(self.member))
        top, bottom, left, right = self._part(info.height, info.width)
        notes = {"skeleton": float(self.skeleton is not None)}
        return ClipLook(height=bottom - top, width=right - left, fps=FPS, frames=info.frames, notes=notes)

    def read(self, start: int = 0) -> Iterator[RawFrame]:
        """Frames cut to the part where the people are."""
        part: tuple[int, int, int, int] | None = None
        for frame in video.read_video(self.member.stream(), start=start, name=str(self.member)):
            part = part or self._part(*frame.shape[:2])
            top, bottom, left, right = part
            yield RawFrame(rgb=np.ascontiguousarray(frame[top:bottom, left:right]))

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, bottom, left, right of the cut."""
        if self.skeleton is None:
            return 0, height, 0, width
        joints = read_skeleton(self.skeleton)
        if not len(joints):
            return 0, height, 0, width
        low, high = joints.min(axis=0), joints.max(axis=0)
        centre, half = (low + high) / 2, (high - low).max() * _ROOM / 2
        left, top = np.floor(np.maximum(centre - half, 0)).astype(int)
        right, bottom = np.ceil(np.minimum(centre + half, (width, height))).astype(int)
        return (
            (int(top), int(bottom), int(left), int(right)) if right > left and bottom > top else (0, height, 0, width)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NTU120Source:
    """The chosen samples of a download."""

    videos: tuple[NTUClip, ...]
    selection: str
    name: str = field(default="ntu120", init=False)

    @classmethod
    def open(cls, raw: Path, *, select: str = "idol-like", selection: Selection | None = None) -> NTU120Source:
        """List the videos below ``raw`` and choose: by the rule, ``all`` (for training), or as a split file says.

        Raises `DataError` where there are none, or too few for the rule.
        """
        found = _by_sample(raw, ".avi")
        if not found:
            raise DataError(
                f"{raw}: holds no NTU video; expected nturgbd_rgb_s001.zip, or S001C001P001R001A001_rgb.avi"
            )
        splits = _chosen(list(found), select, selection or Selection())
        skeletons = _by_sample(raw, ".skeleton")
        videos = tuple(
            NTUClip(sample=sample, member=found[sample], split=splits[sample], skeleton=skeletons.get(sample))
            for sample in sorted(splits)
        )
        return cls(videos=videos, selection=select)

    def clips(self) -> Sequence[NTUClip]:
        """Every chosen sample, by name."""
        return self.videos

    def ships(self, track: str) -> bool:
        """Its depth is another camera's: nothing that fits the pictures."""
        return False

    def describe(self) -> dict:
        """For ``dataset.json``: what was chosen, and a hash of the list."""
        listed = "\n".join(f"{clip.id} {clip.split}" for clip in self.videos)
        digest = hashlib.sha256(listed.encode()).hexdigest()
        return {"name": self.name, "videos": len(self.videos), "splits": self.selection, "list_sha256": digest}


def read_skeleton(member: Member) -> NDArray[np.float64]:
    """Where the joints of everybody in all frames are in the colour picture, [n,2] in pixels; lost ones left out.

    Raises `DataError` for a damaged file.
    """
    lines = iter(member.read().decode("ascii", "replace").splitlines())
    joints: list[tuple[float, float]] = []
    try:
        for _ in range(int(next(lines))):
            for _ in range(int(next(lines))):
                next(lines)  # the body's own line
                for _ in range(int(next(lines))):
                    numbers = next(lines).split()
                    joints.append((float(numbers[_COLOUR_X]), float(numbers[_COLOUR_Y])))
    except (StopIteration, ValueError, IndexError) as error:
        raise DataError(f"{member}: is no whole skeleton file; download it again") from error
    found = np.array(joints, np.float64).reshape(-1, 2)
    return found[np.isfinite(found).all(axis=1)]


def _by_sample(raw: Path, suffix: str) -> dict[Sample, Member]:
    if not raw.exists():
        raise DataError(f"{raw}: no such folder; name where the NTU archives lie")
    named = ((Sample.parse(member.base), member) for member in members(raw, suffix))
    return {sample: member for sample, member in named if sample is not None}


def _chosen(samples: list[Sample], select: str, selection: Selection) -> dict[Sample, Split]:
    if select == "idol-like":
        return selection.choose(samples)
    if select == "all":
        return dict.fromkeys(samples, cast("Split", "train"))
    if not Path(select).is_file():
        raise DataError(f"unknown selection {select!r}: idol-like, all, or a split file")
    listed = read_split_file(Path(select))
    chosen: dict[Sample, Split] = {sample: listed[str(sample)] for sample in samples if str(sample) in listed}
    absent = sorted(set(listed) - {str(sample) for sample in chosen})
    if absent:
        raise DataError(
            f"{select}: lists {absent[0]} and {len(absent) - 1} more that are not there; add their archives"
        )
    return chosen
