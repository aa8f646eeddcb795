"""Depth of the whole frame: MiDaS's DPT and Depth Anything V2 by transformers. Inverse depth, larger is nearer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.protocol import AnnotatorInfo, Batch
from idol_prep.schema import Polarity, Scope

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from idol_prep.annotators import Setting


class FrameDepth:
    """One of transformers' depth estimators on cropped frames; raw values are kept."""

    polarity: ClassVar[Polarity] = "inverse"
    scope: ClassVar[Scope] = "frame"

    def __init__(self, info: AnnotatorInfo, folder: Path, device: torch.device) -> None:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        from idol_prep.annotators._hub_model import load_model, load_processor

        self.info = info
        self._device = device
        self._processor = load_processor(AutoImageProcessor, folder)
        self._model: Any = load_model(AutoModelForDepthEstimation, folder).to(device)

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Let the network go."""
        self._model = None

    def depth(self, batch: Batch) -> NDArray[np.float32]:
        """Inverse depth [L,H,W] of every pixel, enlarged to the crop's size."""
        import torch

        shown = self._processor(list(batch.frames), return_tensors="pt")["pixel_values"].to(self._device)
        with torch.inference_mode():
            found = self._model(shown).predicted_depth
        return enlarged(found, batch.frames.shape[1:3])


def enlarged(depth_NHW: torch.Tensor, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Depth maps at another size, bicubic as MiDaS does it."""
    from torch.nn import functional

    resized = functional.interpolate(
        depth_NHW[:, None].float(), size=(size[0], size[1]), mode="bicubic", align_corners=False
    )
    return resized[:, 0].cpu().numpy()


def make_dpt(setting: Setting) -> FrameDepth:
    """MiDaS 3: DPT hybrid unless the user names another."""
    return FrameDepth(describe_dpt(), setting.weights.require("dpt"), setting.device.torch)


def make_depth_anything(setting: Setting) -> FrameDepth:
    """Depth Anything V2: small unless the user names another."""
    return FrameDepth(describe_depth_anything(), setting.weights.require("depth-anything"), setting.device.torch)


def describe_dpt() -> AnnotatorInfo:
    """Version and licence."""
    return AnnotatorInfo(
        name="midas",
        kind="depth",
        version=f"dpt, transformers {_version()}",
        licence="MIT",
        source="https://huggingface.co/Intel/dpt-hybrid-midas",
        note="inverse depth of the whole frame",
    )


def describe_depth_anything() -> AnnotatorInfo:
    """Version and licence. Base and Large are not free, and whose file is named cannot be seen: small is."""
    return AnnotatorInfo(
        name="depth_anything",
        kind="depth",
        version=f"v2, transformers {_version()}",
        licence="Apache-2.0 (Small; Base and Large are CC-BY-NC-4.0)",
        source="https://huggingface.co/depth-anything/Depth-Anything-V2-Small-hf",
        note="inverse depth of the whole frame",
    )


def _version() -> str:
    from importlib.metadata import version

    return version("transformers")
