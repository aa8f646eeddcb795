"""From joints to people: OpenPose's part affinity fields say which joints belong together (Cao et al., 2017).

For each of 19 limbs every pair of its two joints' peaks is scored by how well the field along the line between them
points from one to the other; pairs are taken greedily, best first; limbs that share a joint grow together to people.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators._openpose_maps import Enlargement, Peaks, values_at

JOINTS = 18
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
)  # fmt: skip
"""Pairs of joints; the last two only bind ears to shoulders, and begin nobody."""
_FIELDS = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26)
"""The x channel of each limb's field; y is the next one."""

_SAMPLES = 10
_ALONG = 0.05
"""What the field must reach along the limb."""
_PART_ALONG = 0.8
_LONGEST = 0.5
"""Part of the frame's height beyond which a limb's length counts against it."""
_FEWEST_PARTS, _LOWEST_MEAN = 4, 0.4
_BEGINNERS = 17


@dataclass(slots=True, eq=False)
class Person:
    """Peaks by joint, and what they and their limbs score."""

    peaks: dict[int, int] = field(default_factory=dict)
    parts: int = 0
    score: float = 0.0

    def good(self) -> bool:
        """Whether it has enough joints, and sure ones."""
        return self.parts >= _FEWEST_PARTS and self.score / self.parts >= _LOWEST_MEAN


def assemble(
    peaks: Peaks, fields: NDArray[np.float32], down: Enlargement, across: Enlargement
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """People as xy [18,2] and score [18] (a missing joint has score 0), from peaks and fields [38,h,w]."""
    people: list[Person] = []
    for limb, (start, end) in enumerate(LIMBS):
        firsts, seconds = peaks.of(start), peaks.of(end)
        if len(firsts) and len(seconds):
            worth = _worth(peaks, firsts, seconds, fields[_FIELDS[limb] : _FIELDS[limb] + 2], down, across)
            for row, column in _best_pairs(worth):
                pair = int(firsts[row]), int(seconds[column])
                _join(people, (start, end), pair, float(worth[row, column]), peaks, begins=limb < _BEGINNERS)
    return [_joints(person, peaks) for person in people if person.good()]


def _worth(
    peaks: Peaks,
    firsts: NDArray[np.int64],
    seconds: NDArray[np.int64],
    fields: NDArray[np.float32],
    down: Enlargement,
    across: Enlargement,
) -> NDArray[np.float64]:
    """What each pair [a,b] is worth as a limb; -inf where it is none."""
    starts, ends = peaks.xy[firsts][:, None].astype(np.float64), peaks.xy[seconds][None].astype(np.float64)
    line = ends - starts
    length = np.maximum(np.linalg.norm(line, axis=-1), 1e-3)
    points = starts[:, :, None] + line[:, :, None] * np.linspace(0, 1, _SAMPLES)[:, None]
    found = values_at(fields, np.rint(points).astype(np.int64).reshape(-1, 2), down, across)
    field_x, field_y = found.reshape(2, *line.shape[:2], _SAMPLES)
    direction = line / length[..., None]
    along = field_x * direction[..., :1] + field_y * direction[..., 1:]
    worth = along.mean(axis=-1) + np.minimum(_LONGEST * len(down.plain) / length - 1, 0)
    good = ((along > _ALONG).sum(axis=-1) > _PART_ALONG * _SAMPLES) & (worth > 0)
    return np.where(good, worth, -np.inf)


def _best_pairs(worth: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs in order of worth, each peak in one of them."""
    pairs: list[tuple[int, int]] = []
    left = worth.copy()
    for _ in range(min(worth.shape)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        if left[row, column] == -np.inf:
            break
        pairs.append((row, column))
        left[row], left[:, column] = -np.inf, -np.inf
    return pairs


def _join(
    people: list[Person], joints: tuple[int, int], pair: tuple[int, int], worth: float, peaks: Peaks, *, begins: bool
) -> None:
    """Add a limb to the person who has one of its ends, join two who have one each, or begin a new one."""
    start, end = joints
    owners = [one for one in people if one.peaks.get(start) == pair[0] or one.peaks.get(end) == pair[1]][:2]
    if not owners:
        if begins:
            score = float(peaks.score[list(pair)].sum()) + worth
            people.append(Person({start: pair[0], end: pair[1]}, 2, score))
        return
    one, other = owners[0], owners[-1]
    if one is not other and not one.peaks.keys() & other.peaks.keys():
        one.peaks |= other.peaks
        one.parts += other.parts
        one.score += other.score + worth
        people.remove(other)
    elif one is not other or one.peaks.get(end) != pair[1]:
        one.peaks[end] = pair[1]
        one.parts += 1
        one.score += float(peaks.score[pair[1]]) + worth


def _joints(person: Person, peaks: Peaks) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    xy, score = np.full((JOINTS, 2), -1, np.float32), np.zeros(JOINTS, np.float32)
    joints, numbers = list(person.peaks), list(person.peaks.values())
    # a peak is at a pixel's index, a keypoint at its centre
    xy[joints], score[joints] = peaks.xy[numbers] + 0.5, peaks.score[numbers]
    return xy, score
