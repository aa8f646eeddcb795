"""A network, its preprocessing and its weights under one name: uint8 frames in, float32 features out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idol_eval.features import random_weights
from idol_eval.features import weights as weight_files
from idol_eval.features.first_layer import SharedFirstLayer, SnippetNetwork
from idol_eval.features.folding import fold_normalisations
from idol_eval.features.resize import RESIZERS
from idol_eval.features.weights import Published, Weights

_BLOCK = 64
"""Frames that are resized together: bounds the memory of a long clip."""
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractorSpec:
    """What defines an extractor, apart from its weights."""

    name: str
    takes: Literal["frames", "snippets"]
    build: Callable[[], nn.Module]
    side: int
    resize: str
    """The way to side x side (`idol_eval.features.resize.RESIZERS`)."""
    scale: Callable[[Tensor], Tensor]
    """Levels 0..255 into the network's range."""
    values: str
    """That range in words."""
    dimensions: int
    layer: str
    batch: int
    input_range: float = 1.0
    """Largest value of the network's input, about."""
    known: tuple[Published, ...] = ()

    def prepare(self, frames_LHW3: NDArray[np.uint8]) -> Tensor:
        """uint8 [L, H, W, 3] to float32 [L, 3, side, side] in the network's range."""
        return self.scale(RESIZERS[self.resize](frames_LHW3, self.side))


class Extractor:
    """A ready extractor. Features depend on the clip alone, not on batch size or order.

    In bfloat16 the first batch is run in both precisions, and the row states by how much the features differ.

    Raises (from `load`): FileNotFoundError or `WeightsError` for a file that is not there or does not fit.
    """

    def __init__(
        self, spec: ExtractorSpec, network: nn.Module, weights: Weights, device: str, precision: Precision = "float32"
    ) -> None:
        self.spec, self.weights, self.precision = spec, weights, precision
        self.device = torch.device(device)
        self.precision_error: float | None = None
        """Relative difference between bfloat16 and float32 features of the first batch."""
        self._layout = torch.channels_last if spec.takes == "frames" else torch.channels_last_3d
        whole = fold_normalisations(network).to(self.device).to(memory_format=self._layout)  # pyright: ignore[reportCallIssue]
        self._network, self._exact = (whole, None) if precision == "float32" else (deepcopy(whole).bfloat16(), whole)

    @classmethod
    def load(
        cls,
        spec: ExtractorSpec,
        file: Path | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> "Extractor":
        """With the weights of ``file``, or with random ones of ``seed``."""
        with torch.device("meta"):
            network = spec.build()
        if file is not None:
            return cls(spec, network, weight_files.load(network, file, spec.known), device, precision)
        random_weights.fill(network, seed, spec.input_range)
        return cls(spec, network, Weights(label=random_weights.label(seed)), device, precision)

    def describe(self) -> dict[str, Any]:
        """What a row records: network, layer, resizing, weights, arithmetic."""
        return {
            "name": self.spec.name,
            "layer": self.spec.layer,
            "resize": f"{self.spec.resize} to {self.spec.side} x {self.spec.side}",
            "values": self.spec.values,
            "precision": self.precision,
            "device": self.device.type,
            "batch": self.spec.batch,
            "memory": "channels last",
            **self.weights.describe(),
        }

    def frames(self, frames_LHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [L, D] of single frames."""
        return self.features(self.frame_inputs(frames_LHW3))

    def snippets(self, frames_LHW3: NDArray[np.uint8], starts: Sequence[int], length: int) -> NDArray[np.float32]:
        """Features [n, D] of the snippets of ``length`` frames that begin at ``starts``, in rising order."""
        network = self._network
        if not (isinstance(network, SnippetNetwork) and self.shares(starts, length)):
            return self.features(self.snippet_inputs(frames_LHW3, starts, length))
        layer = SharedFirstLayer(network, length, self.spec.side)
        frames = (layer.of_frame(x.to(self.device)) for x in self.frame_inputs(frames_LHW3))
        begun = map(layer.of_snippet, _ring(frames, starts, length))
        with torch.inference_mode():
            return self._in_batches(begun, lambda x: network.after_first(self._stacked(x)).cpu().numpy())

    def shares(self, starts: Sequence[int], length: int) -> bool:
        """Whether snippets overlap so far that doing the first layer's work frame by frame saves any.

        Never in bfloat16, where sums of rounded taps would lose digits.
        """
        network = self._network
        if self.precision != "float32" or len(starts) < 2 or not isinstance(network, SnippetNetwork):
            return False
        outputs = SharedFirstLayer(network, length, self.spec.side).outputs
        return starts[-1] + length - starts[0] < outputs * len(starts)

    def frame_inputs(self, frames_LHW3: NDArray[np.uint8]) -> Iterator[Tensor]:
        """What the network takes of each frame, [3, S, S]."""
        for at in range(0, len(frames_LHW3), _BLOCK):
            yield from self.spec.prepare(frames_LHW3[at : at + _BLOCK])

    def snippet_inputs(self, frames_LHW3: NDArray[np.uint8], starts: Sequence[int], length: int) -> Iterator[Tensor]:
        """What the network takes of each snippet, [3, T, S, S], ``starts`` in rising order; frames are resized once."""
        snippets = _ring(self.frame_inputs(frames_LHW3), starts, length)
        return (torch.stack(frames, dim=1) for frames in snippets)

    @torch.inference_mode()
    def run(self, inputs: Sequence[Tensor]) -> NDArray[np.float32]:
        """Features [n, D] of one batch."""
        x = self._stacked(inputs)
        found = self._network(x.to(getattr(torch, self.precision))).float()
        if self._exact is not None:
            exact = self._exact(x)
            self.precision_error = float((found - exact).norm() / exact.norm())
            self._exact = None
        return found.cpu().numpy()

    def features(self, inputs: Iterable[Tensor]) -> NDArray[np.float32]:
        """Features [n, D] of what `frame_inputs` or `snippet_inputs` gave, in full batches but for the last."""
        return self._in_batches(inputs, self.run)

    def _stacked(self, inputs: Sequence[Tensor]) -> Tensor:
        """A batch [N, C, ...] on the device, channels last in memory."""
        return torch.stack([x.movedim(0, -1) for x in inputs]).to(self.device).movedim(-1, 1)

    def _in_batches(
        self, inputs: Iterable[Tensor], run: Callable[[Sequence[Tensor]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        parts = [run(batch) for batch in _batches(inputs, self.spec.batch)]
        return np.concatenate(parts) if parts else np.empty((0, self.spec.dimensions), np.float32)


def _ring(frames: Iterable[Tensor], starts: Sequence[int], length: int) -> Iterator[list[Tensor]]:
    """The ``length`` frames from each of ``starts`` (rising) on; a frame waits while snippets need it."""
    ring: dict[int, Tensor] = {}
    coming = enumerate(frames)
    for start in starts:
        while not ring or max(ring) < start + length - 1:
            index, frame = next(coming)
            ring[index] = frame
        ring = {index: frame for index, frame in ring.items() if index >= start}
        yield [ring[index] for index in range(start, start + length)]


def _batches(inputs: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    rest = iter(inputs)
    while batch := list(islice(rest, size)):
        yield batch
