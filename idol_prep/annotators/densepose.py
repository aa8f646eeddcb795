"""DensePose of the subject in cropped frames, for depth networks whose source ships none.

The network is the published R50-FPN as a TorchScript file. Such a file is a program: its hash is checked against the
published ones, or against what the user states beside it, before torch opens it, and what is opened is what was hashed.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep.annotators.protocol import AnnotatorInfo, Batch
from idol_prep.annotators.weights import Weights, hashes
from idol_prep.schema import DataError

if TYPE_CHECKING:
    from idol_prep.annotators import Setting
    from idol_prep.annotators._densepose_charts import Charts

KNOWN: dict[str, str] = {
    "4f7260daa498ce8d4b4679f0692ef2f1f426e39121a907181eab37b8b0585878": "densepose_r50_fpn_dl.torchscript",
    "4fe0d458d7ad25bd97d03605f693a2547219e4bae4de9aa727ebb7ecbaaf65a3": "densepose_r101_fpn_dl.torchscript",
}
"""SHA-256 of the published files, as the hub's pages of them say."""
SIDE = 512
"""Pixels of the shorter side that the network sees, as where the published file is in use."""
_MULTIPLE = 64
_MOST_PEOPLE = 8
"""The surest of a frame."""
_FIELDS = ("pred_boxes", "coarse_segm", "fine_segm", "u", "v")
_PREFIX = "pred_densepose_"


class DensePose:
    """Where on the body's surface each pixel of the subject lies."""

    def __init__(self, setting: Setting) -> None:
        self.info = describe()
        self._device = setting.device.torch
        self._file = setting.weights.require("densepose")
        self._network: Any = load(self._file).to(self._device)

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Let the network go."""
        self._network = None

    def densepose(self, batch: Batch) -> NDArray[np.uint8]:
        """(V, U, part) uint8 [L,H,W,3] as in DensePose's files; 0 in frames whose mask is empty or who is not found.

        Frames go through the network one by one. Of several people the one who covers the mask best is taken.
        """
        from idol_prep.annotators._densepose_charts import subject

        if batch.mask is None:
            raise DataError("DensePose of the subject needs a mask")
        found = np.zeros((*batch.mask.shape, 3), np.uint8)
        for index in np.flatnonzero(batch.mask.any(axis=(1, 2))):
            found[index] = subject(self.charts(batch.frames[index]), batch.mask[index], _MOST_PEOPLE)
        return found

    def charts(self, frame: NDArray[np.uint8]) -> Charts:
        """What the network says of everybody in a frame RGB [H,W,3], boxes in pixels of that frame."""
        import torch

        shown, scale = network_input(frame)
        with torch.inference_mode():
            answer = self._network(torch.from_numpy(shown).to(self._device))
        return _charts(answer, scale, self._file)


def network_input(frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The frame as detectron2's networks want it, and its scale there.

    BGR uint8 [3,h,w], the shorter side `SIDE` pixels, edges repeated to whole multiples of 64 right and below.
    """
    height, width = frame.shape[:2]
    scale = SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    larger = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    room = [(0, -side % _MULTIPLE) for side in larger.shape[:2]]
    padded = np.pad(larger, (*room, (0, 0)), mode="edge")
    return np.ascontiguousarray(padded[..., ::-1].transpose(2, 0, 1)), scale


def load(file: Path) -> Any:
    """The network in a TorchScript file that is trusted. Raises `DataError` for one that is not, or is no such file."""
    content = file.read_bytes()
    refused = _refused(file, hashlib.sha256(content).hexdigest())
    if refused:
        raise DataError(refused)
    import torch
    import torchvision  # noqa: F401 - registers the operators that the file calls

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch retires the format; the published file stays one
            return torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
    except RuntimeError as error:
        raise DataError(f"{file}: is no TorchScript file ({str(error).splitlines()[0]})") from error


def unfit(weights: Weights) -> str:
    """Why the file that is here is not run; empty where it is, or where there is none."""
    file = weights.find("densepose")
    return "" if file is None else _refused(file, hashes(file)[file.name])


def describe() -> AnnotatorInfo:
    """Version and licence."""
    return AnnotatorInfo(
        name="densepose",
        kind="densepose",
        version="r50_fpn_dl, TorchScript",
        licence="CC-BY-SA-3.0 (weights)",
        source="https://huggingface.co/LayerNorm/DensePose-TorchScript-with-hint-image",
        note="body surface of the subject, for --depth hdnet where the source ships none",
    )


def _refused(file: Path, digest: str) -> str:
    """Why a file with this hash is not run; empty where it is published, or the user states its hash beside it."""
    if digest in KNOWN:
        return ""
    beside = file.with_name(f"{file.name}.sha256")
    stated = beside.read_text(encoding="utf-8").split()[:1] if beside.is_file() else []
    if stated == [digest]:
        return ""
    about = f"{file}: a TorchScript file is a program, and this one (SHA-256 {digest})"
    if stated:
        return f"{about} is not what {beside.name} states ({stated[0]}); take the file that belongs to it"
    return (
        f"{about} is not a published one; take that (`idol prep annotators --fetch densepose`), or if you trust this, "
        f"state its hash: sha256sum {file.name} > {beside.name}"
    )


def _charts(answer: Any, scale: float, file: Path) -> Charts:
    """The network's answer, a tuple or a dictionary of named tensors, with boxes in pixels of the frame."""
    from idol_prep.annotators._densepose_charts import PARTS, Charts

    named = isinstance(answer, Mapping)
    names = [name if name in answer else _PREFIX + name for name in _FIELDS] if named else range(len(_FIELDS))
    try:
        boxes, coarse, fine, u, v = (answer[name] for name in names)
        shapes = [tuple(maps.shape[1:2]) for maps in (boxes, fine, u, v)]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: is no DensePose network (it gives no {', '.join(_FIELDS)})") from error
    if shapes != [(4,), (PARTS + 1,), (PARTS + 1,), (PARTS + 1,)]:
        raise DataError(f"{file}: is no DensePose network of {PARTS} parts (its channels are {shapes})")
    return Charts(boxes=boxes.float() / scale, coarse=coarse, fine=fine, u=u, v=v)
