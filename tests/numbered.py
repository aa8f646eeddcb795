"""Frames that carry their number, annotators that read it from the pixels alone, and a reader for every track.

A white board stands in a dark room; its 4 x 2 cells are the bits of the frame's number, light or dark. The annotators
find the board and write the number they read into their track: as scores of joints, holes in the mask, depth. So a
prepared clip tells for each track which source frame it belongs to, whatever was cut, turned, scaled or thinned.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep import annotators
from idol_prep.annotators.protocol import AnnotatorInfo, Batch, PoseTrack
from idol_prep.pose import Keypoints
from idol_prep.schema import Clip

ROWS, COLUMNS = 2, 4
HEIGHT, WIDTH = 96, 128
BOARD = (36, 20, 92, 84)
"""Left, top, right, bottom."""
_EDGE = 0.1
"""Part of the board's sides that is its frame."""


def picture(number: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.uint8]:
    """The frame of this number (0 to 255)."""
    frame = np.full((*size, 3), 40, np.uint8)
    left, top, right, bottom = BOARD
    board = np.full((bottom - top, right - left), 235, np.uint8)
    for cell, bit in zip(_cells(board.shape), _bits(number), strict=True):
        board[cell] = 235 if bit else 110
    frame[top:bottom, left:right] = board[..., None]
    return frame


def number_on(board: NDArray) -> int:
    """The number on a board [h,w] that is cut out along its edges; light cells are 1."""
    light = np.array([board[cell].mean() for cell in _cells(board.shape)]) > board.max() * 0.73
    return int(sum(1 << index for index, bit in enumerate(light) if bit))


def board_of(shown: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Where the board is, by where anything is shown."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def numbers_of(clip: Clip) -> dict[str, list[int]]:
    """Which source frame each frame of each track of a prepared clip belongs to."""
    frames, masks, depth, joints = clip.frames(), clip.mask(), clip.depth(), clip.keypoints()
    boards = [board_of(frame.mean(axis=-1) > 75) for frame in frames]
    return {
        "frames": [number_on(frame.mean(axis=-1)[at]) for frame, at in zip(frames, boards, strict=True)],
        "mask": [number_on(mask[board_of(mask > 0)].astype(float)) for mask in masks],
        "depth": [round(float(np.nanmedian(one))) - 1 for one in depth],
        "keypoints": np.rint(joints.score[:, 0].mean(axis=1) * 1000 - 500).astype(int).tolist(),
    }


@dataclass(frozen=True)
class _Reader:
    """What the three annotators share."""

    info: AnnotatorInfo
    polarity: str = "distance"
    scope: str = "person"

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Nothing is held."""


class NumberedPose(_Reader):
    """Joints spread over the board; their score tells the number."""

    def pose(self, batch: Batch) -> PoseTrack:
        xy = np.full((len(batch.frames), 1, 18, 2), -1, np.float32)
        score = np.zeros(xy.shape[:3], np.float32)
        for index, frame in enumerate(batch.frames):
            grey = frame.mean(axis=-1)
            if not (grey > 75).any():
                continue
            rows, columns = board_of(grey > 75)
            xy[index, 0, :, 0] = np.linspace(columns.start, columns.stop, 18)
            xy[index, 0, :, 1] = np.linspace(rows.start, rows.stop, 18)
            score[index] = 0.5 + number_on(grey[rows, columns]) / 1000
        return PoseTrack(keypoints=Keypoints(xy=xy, score=score))


class NumberedMask(_Reader):
    """The board; dark cells are holes."""

    def mask(self, batch: Batch) -> NDArray[np.uint8]:
        masks = np.zeros(batch.frames.shape[:3], np.uint8)
        for mask, frame in zip(masks, batch.frames, strict=True):
            grey = frame.mean(axis=-1)
            mask[grey > 170] = 255
        return masks


class NumberedDepth(_Reader):
    """The number, plus one, all over the mask."""

    def depth(self, batch: Batch) -> NDArray[np.float32]:
        assert batch.mask is not None
        depth = np.full(batch.mask.shape, np.nan, np.float32)
        for one, frame, mask in zip(depth, batch.frames, batch.mask, strict=True):
            grey = frame.mean(axis=-1)
            one[mask > 0] = number_on(grey[board_of(grey > 75)]) + 1
        # the track's quantisation wants a span
        depth[:, :1, :1] = 300
        return depth


def register() -> None:
    """Make them known as ``numbered``."""
    for kind, cls in (("pose", NumberedPose), ("mask", NumberedMask), ("depth", NumberedDepth)):
        info = AnnotatorInfo(name="numbered", kind=kind, version="1", licence="Apache-2.0")
        annotators.ENTRIES[kind, "numbered"] = annotators.Entry(
            module=__name__, make=lambda _, __, cls=cls, info=info: cls(info), describe=lambda _, info=info: info
        )


def write_sequence(folder: Path, numbers: list[int]) -> Path:
    """Numbered frames as a sequence of the TikTok layout without masks, file numbers as the frames'."""
    (folder / "images").mkdir(parents=True)
    for number in numbers:
        Image.fromarray(picture(number)).save(folder / "images" / f"{number:04d}.png")
    return folder


def _bits(number: int) -> list[bool]:
    return [bool(number >> index & 1) for index in range(ROWS * COLUMNS)]


def _cells(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """The cells' insides, a margin apart from each other and from the edge."""
    across, down = _edges(shape[1], COLUMNS), _edges(shape[0], ROWS)
    return [(rows, columns) for rows in down for columns in across]


def _edges(side: int, count: int) -> list[slice]:
    step = side * (1 - 2 * _EDGE) / count
    starts = [side * _EDGE + index * step for index in range(count)]
    return [slice(round(start + 0.15 * step), round(start + 0.85 * step)) for start in starts]


if __name__ == "__main__":
    # A run that may be killed: python numbered.py RAW OUT [I/N]
    from idol_prep.pipeline import PrepOptions, prepare
    from idol_prep.sources.tiktok import TikTokSource

    register()
    number, count = (sys.argv[3] if len(sys.argv) > 3 else "1/1").split("/")
    prepare(
        TikTokSource.open(Path(sys.argv[1])),
        Path(sys.argv[2]),
        PrepOptions(
            size=64,
            pose="numbered",
            mask="numbered",
            depth="numbered",
            clip_frames=20,
            shard=(int(number), int(count)),
        ),
    )
