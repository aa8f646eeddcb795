"""Are the pictures of a folder the frames of one clip, whole and each once? Their names tell."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from idol_eval.samples import SampleError

Parts: TypeAlias = list[str | int]


def parts(file: Path) -> Parts:
    """The file's name without its ending, texts and numbers in turn: files sort by it as people count."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.stem)]


def check_frames(files: Sequence[Path]) -> None:
    """Refuse what is no whole clip; ``files`` are those of one folder, sorted by `parts`.

    Numbers may begin anywhere and have any even step; names without a number, or with several that differ (times of
    day), say nothing of gaps.

    Raises:
        SampleError: two files of one frame (``1.png`` and ``0001.jpg``), a numbered file among others, or a gap.
    """
    named = [(file, parts(file)) for file in files]
    for (one, mine), (two, own) in pairwise(named):
        if mine == own:
            raise SampleError(f"{one}: {two.name} has the same name or number; keep one of them")
        if max(len(mine), len(own)) > 1 and mine[::2] != own[::2]:
            raise SampleError(
                f"{one}: {two.name} is named in another way; keep pictures that are no frames out of the folder"
            )
    _check_steps(files, [own for _, own in named])


def _check_steps(files: Sequence[Path], named: Sequence[Parts]) -> None:
    counting = [place for place in range(1, len(named[0]) if named else 0, 2) if len({one[place] for one in named}) > 1]
    if len(counting) != 1:
        return
    numbers = [int(one[counting[0]]) for one in named]
    steps = [after - before for before, after in pairwise(numbers)]
    for at, step in enumerate(steps):
        if step != min(steps):
            raise SampleError(
                f"{files[at]}: the next frame is {files[at + 1].name}, where others are {min(steps)} apart; "
                "complete the folder, or number its frames evenly"
            )
