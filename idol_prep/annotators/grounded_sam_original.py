"""Grounded-SAM by the packages that DisCo names, groundingdino-py and segment-anything, on their own checkpoints."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib import util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators._stored import stored_tensors
from idol_prep.annotators.grounded_sam import BOX_SCORE, PROMPT, GroundedSam
from idol_prep.annotators.protocol import AnnotatorInfo
from idol_prep.schema import DataError

if TYPE_CHECKING:
    from idol_prep.annotators import Setting

MISSING = (
    'the original packages are missing; install them with: pip install "idol-video-depth[sam]" and '
    "pip install --no-deps groundingdino-py (it pins an old supervision and a second OpenCV)"
)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHORT, _LONG = 800, 1333
_SAM_KINDS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""SAM's variants by the width of their image encoder."""


class OriginalDetector:
    """GroundingDINO (Swin-T OGC) by groundingdino-py."""

    def __init__(self, setting: Setting) -> None:
        self._device = setting.device.torch
        checkpoint, bert = setting.weights.require("groundingdino-original"), setting.weights.require("bert")
        self._model = build_detector(bert).to(self._device)
        _load(self._model, checkpoint)

    def boxes(self, frames: NDArray[np.uint8]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """People in each frame; boxes from their centres and sizes in parts of the frame."""
        import torch

        scale = np.array([frames.shape[2], frames.shape[1]] * 2, np.float32)
        shown = torch.from_numpy(np.stack([network_input(frame) for frame in frames])).to(self._device)
        with torch.inference_mode(), _quiet():
            found = self._model(shown, captions=[PROMPT] * len(frames))
        answers = []
        for logits, boxes in zip(found["pred_logits"].sigmoid(), found["pred_boxes"], strict=True):
            score = logits.max(dim=1).values
            sure = score > BOX_SCORE
            centre, extent = boxes[sure].cpu().numpy().reshape(-1, 2, 2).transpose(1, 0, 2)
            edges = np.concatenate([centre - extent / 2, centre + extent / 2], axis=1)
            answers.append((edges * scale, score[sure].cpu().numpy()))
        return answers


class OriginalSegmenter:
    """SAM by segment-anything."""

    def __init__(self, setting: Setting) -> None:
        from segment_anything import SamPredictor

        self._predictor = SamPredictor(load_sam(setting.weights.require("sam-original")).to(setting.device.torch))

    def masks(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """One mask a box."""
        import torch

        self._predictor.set_image(frame)
        asked = self._predictor.transform.apply_boxes_torch(torch.from_numpy(boxes), frame.shape[:2])
        found, _, _ = self._predictor.predict_torch(
            point_coords=None, point_labels=None, boxes=asked.to(self._predictor.device), multimask_output=False
        )
        return found[:, 0].cpu().numpy()


def network_input(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame as [3,h,w]: the shorter side 800, the longer at most 1333, normalised as ImageNet is."""
    from PIL import Image

    height, width = frame.shape[:2]
    scale = min(_SHORT / min(height, width), _LONG / max(height, width))
    size = (int(width * scale), int(height * scale))
    small = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR), np.float32) / 255
    return ((small - np.array(_MEAN)) / np.array(_STD)).transpose(2, 0, 1).astype(np.float32)


def load_sam(checkpoint: Path) -> Any:
    """SAM of whichever size the checkpoint has. Raises `DataError` for a file of another network."""
    from segment_anything import sam_model_registry

    stored = stored_tensors(checkpoint)
    embedding = stored.get("image_encoder.pos_embed")
    kind = None if embedding is None else _SAM_KINDS.get(embedding.shape[-1])
    if kind is None:
        raise DataError(f"{checkpoint}: is no SAM checkpoint; see `idol prep annotators`")
    network = sam_model_registry[kind]()
    network.load_state_dict(stored)
    return network.eval()


def build_detector(bert: Path) -> Any:
    """GroundingDINO without weights; ``bert`` is the folder of its text encoder."""
    with _quiet():
        import groundingdino.config  # pyright: ignore[reportMissingImports]
        from groundingdino.models import build_model  # pyright: ignore[reportMissingImports]
        from groundingdino.util.slconfig import SLConfig  # pyright: ignore[reportMissingImports]

    _mend_bert()
    config = SLConfig.fromfile(str(Path(next(iter(groundingdino.config.__path__))) / "GroundingDINO_SwinT_OGC.py"))
    config.text_encoder_type, config.device = str(bert), "cpu"
    config.use_checkpoint = config.use_transformer_ckpt = False
    with _quiet():
        return build_model(config).eval()


def describe() -> AnnotatorInfo:
    """Version and licence, without importing the packages."""
    found = "" if missing() else f"groundingdino-py {version('groundingdino-py')}, segment-anything"
    return AnnotatorInfo(
        name="grounded_sam_original",
        kind="mask",
        version=found,
        licence="Apache-2.0",
        source="https://huggingface.co/ShilongLiu/GroundingDINO, https://huggingface.co/ybelkada/segment-anything",
        note="the packages that DisCo names, on their original checkpoints",
    )


def missing() -> str:
    """What is not installed; empty where nothing is missing."""
    return "" if util.find_spec("groundingdino") and util.find_spec("segment_anything") else MISSING


def make(setting: Setting) -> GroundedSam:
    """Both networks by their own packages."""
    if missing():
        raise ImportError(MISSING)
    return GroundedSam(describe(), OriginalDetector(setting), OriginalSegmenter(setting))


def _load(model: Any, checkpoint: Path) -> None:
    """The published weights. What the file has beyond the model is BERT's position ids, which are no weights."""

    stored = stored_tensors(checkpoint)
    state = {name.removeprefix("module."): value for name, value in stored.get("model", stored).items()}
    missing_keys, unexpected = model.load_state_dict(state, strict=False)
    wrong = [name for name in (*missing_keys, *unexpected) if not name.endswith("position_ids")]
    if wrong:
        differ = f"{len(wrong)} weights differ, such as {wrong[0]}"
        raise DataError(f"{checkpoint}: is no GroundingDINO Swin-T OGC ({differ})")


def _mend_bert() -> None:
    """groundingdino-py asks BERT for two helpers that transformers 5 has dropped."""
    from transformers import BertModel

    def extended(self: Any, attention_mask: Any, *_: Any) -> Any:
        wide = attention_mask[:, None, None] if attention_mask.dim() == 2 else attention_mask[:, None]
        return (1.0 - wide.to(self.dtype)) * -1e4

    def head_mask(self: Any, mask: Any, layers: int, *_: Any) -> Any:
        return [None] * layers if mask is None else mask

    for name, helper in (
        ("get_extended_attention_mask", extended),
        ("get_head_mask", head_mask),
        ("invert_attention_mask", extended),
    ):
        if not hasattr(BertModel, name):
            setattr(BertModel, name, helper)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
