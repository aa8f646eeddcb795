"""Who is who from frame to frame, and which of them is the main subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from idol_prep.pose.formats import Keypoints, PoseError

SubjectPolicy = Literal["largest", "longest", "center", "first"]
"""``largest``: covers most pixels over the clip; ``longest``: is seen in most frames; ``center``: stays nearest to the
picture's middle, of those seen in half as many frames as anybody; ``first``: the first of the first frame with people,
which is what DisCo takes."""
POLICIES: tuple[SubjectPolicy, ...] = get_args(SubjectPolicy)

_SEEN = 0.3
_REACH = 0.4
"""How far joints may move in a frame, in body sizes, and still be the same person's."""
_PATIENCE = 30
"""Frames that a person may be away and come back as the same."""


@dataclass(slots=True)
class Track:
    """One person: in which frames, and in which slot of each."""

    frames: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)


def follow(keypoints: Keypoints, size: tuple[int, int], policy: SubjectPolicy = "largest") -> Keypoints:
    """The main subject alone, [L,1,K]; frames without him are gaps. ``size`` is the frames' height and width."""
    if policy not in POLICIES:
        raise PoseError(f"unknown subject {policy!r}; choose one of {', '.join(POLICIES)}")
    if keypoints.people == 1:
        return keypoints
    xy = np.full((len(keypoints), 1, *keypoints.xy.shape[2:]), -1, np.float32)
    score = np.zeros(xy.shape[:3], np.float32)
    tracks = tracks_of(keypoints)
    if tracks:
        subject = max(tracks, key=lambda track: _merit(track, keypoints, size, tracks)[policy])
        xy[subject.frames, 0] = keypoints.xy[subject.frames, subject.slots]
        score[subject.frames, 0] = keypoints.score[subject.frames, subject.slots]
    return Keypoints(xy=xy, score=score, format=keypoints.format)


def crowd(keypoints: Keypoints) -> float:
    """Part of the frames in which more than one person was found."""
    people = (keypoints.score >= _SEEN).any(axis=2).sum(axis=1)
    return float((people > 1).mean()) if len(people) else 0.0


def tracks_of(keypoints: Keypoints) -> list[Track]:
    """Everybody's track, in order of appearance.

    From frame to frame the assignment has the least sum of distances: the mean distance of joints that both have, over
    the body's size. A person who was away for a while may come back, from the place where he was lost.
    """
    from scipy.optimize import linear_sum_assignment

    tracks: list[Track] = []
    for frame in range(len(keypoints)):
        there = np.flatnonzero((keypoints.score[frame] >= _SEEN).any(axis=1))
        active = [track for track in tracks if frame - track.frames[-1] <= _PATIENCE]
        costs = np.array([[_distance(keypoints, track, frame, slot) for slot in there] for track in active])
        taken = set()
        for row, column in zip(*linear_sum_assignment(costs), strict=True) if costs.size else ():
            if costs[row, column] <= _REACH:
                active[row].frames.append(frame)
                active[row].slots.append(int(there[column]))
                taken.add(column)
        tracks += [Track([frame], [int(slot)]) for column, slot in enumerate(there) if column not in taken]
    return tracks


def _distance(keypoints: Keypoints, track: Track, frame: int, slot: int) -> float:
    """From a track's last joints to a person of this frame; a stranger is farther than any reach."""
    before, person = (track.frames[-1], track.slots[-1]), (frame, slot)
    both = (keypoints.score[before] >= _SEEN) & (keypoints.score[person] >= _SEEN)
    if not both.any():
        return 10.0
    size = max(_extent(keypoints, *before), _extent(keypoints, *person), 1.0)
    return float(np.linalg.norm(keypoints.xy[before][both] - keypoints.xy[person][both], axis=-1).mean()) / size


def _extent(keypoints: Keypoints, frame: int, slot: int) -> float:
    low, high = _box(keypoints, frame, slot)
    return float((high - low).max())


def _box(keypoints: Keypoints, frame: int, slot: int) -> tuple[NDArray, NDArray]:
    joints = keypoints.xy[frame, slot][keypoints.score[frame, slot] >= _SEEN]
    return joints.min(axis=0), joints.max(axis=0)


def _merit(track: Track, keypoints: Keypoints, size: tuple[int, int], tracks: list[Track]) -> dict[str, float]:
    """What each policy thinks of a track; the larger the better."""
    boxes = [_box(keypoints, frame, slot) for frame, slot in zip(track.frames, track.slots, strict=True)]
    middle = np.array([size[1], size[0]]) / 2
    off = float(np.mean([np.linalg.norm((low + high) / 2 - middle) for low, high in boxes]))
    often = 2 * len(track.frames) >= max(len(other.frames) for other in tracks)
    return {
        "largest": float(sum(np.prod(high - low) for low, high in boxes)),
        "longest": float(len(track.frames)),
        "center": -off if often else -np.inf,
        "first": -float(track.frames[0] * keypoints.people + track.slots[0]),
    }
