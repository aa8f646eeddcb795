"""A network, its preprocessing and its weights under one name: uint8 frames in, float32 features out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idol_eval.features import random_weights
from idol_eval.features import weights as weight_files
from idol_eval.features.weights import Published, Weights

_BLOCK = 64
"""Frames or snippets that are prepared together: bounds the memory of a long clip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractorSpec:
    """What defines an extractor, apart from its weights."""

    name: str
    takes: Literal["frames", "snippets"]
    build: Callable[[], nn.Module]
    prepare: Callable[[NDArray[np.uint8]], Tensor]
    """uint8 [L, H, W, 3] to float32 [L, 3, S, S] in the network's range."""
    dimensions: int
    resize: str
    layer: str
    batch: int
    input_range: float = 1.0
    """Largest value of the network's input, about."""
    known: tuple[Published, ...] = ()


class Extractor:
    """A ready extractor. Features depend on the clip alone, not on batch size or order.

    Raises (from `load`): FileNotFoundError or `WeightsError` for a file that is not there or does not fit.
    """

    def __init__(self, spec: ExtractorSpec, network: nn.Module, weights: Weights, device: str) -> None:
        self.spec, self.weights, self.device = spec, weights, torch.device(device)
        layout = torch.channels_last if spec.takes == "frames" else torch.channels_last_3d
        self._layout = layout
        self._network = network.to(self.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]

    @classmethod
    def load(cls, spec: ExtractorSpec, file: Path | None = None, *, seed: int = 0, device: str = "cpu") -> "Extractor":
        """With the weights of ``file``, or with random ones of ``seed``."""
        with torch.device("meta"):
            network = spec.build()
        if file is not None:
            return cls(spec, network, weight_files.load(network, file, spec.known), device)
        random_weights.fill(network, seed, spec.input_range)
        return cls(spec, network, Weights(label=random_weights.label(seed)), device)

    def describe(self) -> dict[str, Any]:
        """What a row records: network, layer, resizing, weights."""
        return {
            "name": self.spec.name,
            "layer": self.spec.layer,
            "resize": self.spec.resize,
            "weights": self.weights.label,
            "sha256": self.weights.sha256,
            "comparable": self.weights.comparable,
        }

    def frames(self, frames_LHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [L, D] of single frames."""
        return self._collected(self.frame_inputs(frames_LHW3))

    def snippets(self, frames_LHW3: NDArray[np.uint8], starts: Sequence[int], length: int) -> NDArray[np.float32]:
        """Features [n, D] of the snippets of ``length`` frames that begin at ``starts``."""
        return self._collected(self.snippet_inputs(frames_LHW3, starts, length))

    def frame_inputs(self, frames_LHW3: NDArray[np.uint8]) -> Iterator[Tensor]:
        """What the network takes of each frame, [3, S, S]; for `Feed`."""
        for at in range(0, len(frames_LHW3), _BLOCK):
            yield from self.spec.prepare(frames_LHW3[at : at + _BLOCK])

    def snippet_inputs(self, frames_LHW3: NDArray[np.uint8], starts: Sequence[int], length: int) -> Iterator[Tensor]:
        """What the network takes of each snippet, [3, T, S, S]; a frame is resized once. For `Feed`."""
        for at in range(0, len(starts), _BLOCK):
            block = starts[at : at + _BLOCK]
            x_LCHW = self.spec.prepare(frames_LHW3[block[0] : block[-1] + length])
            for start in block:
                first = start - block[0]
                yield x_LCHW[first : first + length].transpose(0, 1)

    @torch.inference_mode()
    def run(self, inputs: Sequence[Tensor]) -> NDArray[np.float32]:
        """Features [n, D] of one batch."""
        x = torch.stack(list(inputs)).to(self.device).contiguous(memory_format=self._layout)
        return self._network(x).float().cpu().numpy()

    def _collected(self, inputs: Iterator[Tensor]) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        feed = Feed(self, parts.append)
        feed.add(inputs)
        feed.flush()
        return np.concatenate(parts) if parts else np.empty((0, self.spec.dimensions), np.float32)


class Feed:
    """Runs an extractor over clip after clip in full batches, which cost half as much a snippet as single ones.

    ``sink`` gets features [n, D] in the order in which inputs were added; the last come with `flush`.
    """

    def __init__(self, extractor: Extractor, sink: Callable[[NDArray[np.float32]], object]) -> None:
        self._extractor, self._sink = extractor, sink
        self._waiting: list[Tensor] = []

    def add(self, inputs: Iterator[Tensor]) -> None:
        """Add inputs of the extractor, and run every batch that is full."""
        for one in inputs:
            self._waiting.append(one)
            if len(self._waiting) == self._extractor.spec.batch:
                self.flush()

    def flush(self) -> None:
        """Run what waits."""
        if self._waiting:
            self._sink(self._extractor.run(self._waiting))
            self._waiting = []
