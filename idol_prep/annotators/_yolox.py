"""People as boxes by YOLOX, from the published ``yolox_l.onnx`` (Ge et al., 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators._onnx import OnnxNetwork

_STRIDES = (8, 16, 32)
_GREY = 114
_SCORE, _OVERLAP = 0.3, 0.45
_PERSON = 0
"""COCO's first class."""


class PersonDetector:
    """Boxes of people in a frame, the surest first."""

    def __init__(self, network: OnnxNetwork) -> None:
        self._network = network

    def boxes(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Left, top, right, bottom [n,4] in pixels of the frame RGB [H,W,3]."""
        shown, scale = letterboxed(frame, self._network.size)
        raw = self._network.run(shown[None])[0][0]
        boxes, scores = decoded(raw, self._network.size)
        return boxes[kept(boxes, scores)] / scale


def letterboxed(frame: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """The frame BGR float32 [3,h,w], 0 to 255, in the top left corner of a grey canvas, and its scale there."""
    from PIL import Image

    scale = min(size[0] / frame.shape[0], size[1] / frame.shape[1])
    inner = (max(1, int(frame.shape[1] * scale)), max(1, int(frame.shape[0] * scale)))
    canvas = np.full((*size, 3), _GREY, np.float32)
    canvas[: inner[1], : inner[0]] = np.asarray(Image.fromarray(frame).resize(inner, Image.Resampling.BILINEAR))
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)), scale


def decoded(raw: NDArray[np.float32], size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes [n,4] in pixels of the canvas and the person's scores [n], from the network's output [n,85].

    Each row is a cell: offsets of the centre in cells, logarithm of width and height in cells, objectness, classes.
    """
    cells, strides = _grid(size)
    centres = (raw[:, :2] + cells) * strides
    extents = np.exp(raw[:, 2:4]) * strides
    boxes = np.concatenate([centres - extents / 2, centres + extents / 2], axis=1)
    return boxes, raw[:, 4] * raw[:, 5 + _PERSON]


def kept(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[int]:
    """Rows that stay: sure enough, and overlapping no surer one by much (non-maximum suppression)."""
    chosen: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if scores[row] < _SCORE:
            break
        if all(_overlap(boxes[row], boxes[other]) <= _OVERLAP for other in chosen):
            chosen.append(int(row))
    return chosen


def _grid(size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    cells, strides = [], []
    for stride in _STRIDES:
        rows, columns = size[0] // stride, size[1] // stride
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
        cells.append(grid)
        strides.append(np.full((len(grid), 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return common / max(areas - common, 1e-6)
