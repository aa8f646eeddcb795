"""MiDaS 3 (DPT hybrid) by its own code as controlnet-aux carries it, on timm; the published .pt file."""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep.annotators._stored import stored_tensors
from idol_prep.annotators.frame_depth import enlarged
from idol_prep.annotators.openpose import missing
from idol_prep.annotators.protocol import AnnotatorInfo, Batch
from idol_prep.schema import DataError, Polarity, Scope

if TYPE_CHECKING:
    from idol_prep.annotators import Setting

__all__ = ["MidasOriginal", "describe", "missing"]

_SIDE, _MULTIPLE = 384, 32
_BACKBONE = "vitb_rn50_384"


class MidasOriginal:
    """Inverse depth of the whole frame; raw values are kept."""

    polarity: ClassVar[Polarity] = "inverse"
    scope: ClassVar[Scope] = "frame"

    def __init__(self, setting: Setting) -> None:
        self.info = describe()
        self._device = setting.device.torch
        self._network = load(setting.weights.require("midas-original")).to(self._device)

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Let the network go."""
        self._network = None

    def depth(self, batch: Batch) -> NDArray[np.float32]:
        """Inverse depth [L,H,W] of every pixel."""
        import torch

        shown = torch.from_numpy(np.stack([network_input(frame) for frame in batch.frames])).to(self._device)
        with torch.inference_mode():
            return enlarged(self._network(shown), batch.frames.shape[1:3])  # type: ignore[misc]


def network_input(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame RGB [H,W,3] as [3,h,w], -1 to 1: the shorter side 384, both multiples of 32."""
    height, width = frame.shape[:2]
    scale = _SIDE / min(height, width)
    size = [max(_SIDE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (width, height)]
    small = np.asarray(Image.fromarray(frame).resize((size[0], size[1]), Image.Resampling.BICUBIC), np.float32)
    return (small / 127.5 - 1).transpose(2, 0, 1).astype(np.float32)


def load(weights: Path) -> Any:
    """The network with these weights. Raises `DataError` for a file of another network."""

    network = build()
    stored = stored_tensors(weights)
    try:
        network.load_state_dict(stored)
    except RuntimeError as error:
        raise DataError(f"{weights}: is no DPT hybrid ({str(error).splitlines()[0]})") from error
    return network.eval()


def build() -> Any:
    """The network without weights."""
    if missing():
        raise ImportError(missing())
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from controlnet_aux.midas.midas.dpt_depth import DPTDepthModel

        return DPTDepthModel(path=None, backbone=_BACKBONE, non_negative=True)


def describe() -> AnnotatorInfo:
    """Version and licence, without importing timm."""
    return AnnotatorInfo(
        name="midas_original",
        kind="depth",
        version="" if missing() else f"dpt_hybrid, timm {version('timm')}",
        licence="MIT",
        source="https://huggingface.co/lllyasviel/Annotators",
        note="MiDaS's own code; inverse depth of the whole frame",
    )
