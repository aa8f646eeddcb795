"""Grounded-SAM: GroundingDINO finds people by the word, SAM draws their masks; by transformers' classes.

Thresholds and prompt are DisCo's: boxes from 0.3, words from 0.25, "person". Each person gets a layer of his own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators._yolox import kept
from idol_prep.annotators.protocol import AnnotatorInfo, Batch

if TYPE_CHECKING:
    from idol_prep.annotators import Setting

PROMPT = "person."
"""Lower case and closed by a full stop, as GroundingDINO was trained."""
BOX_SCORE, WORD_SCORE = 0.3, 0.25
MOST_PEOPLE = 8
"""The surest of a frame."""


class Detector(Protocol):
    """Finds people in frames."""

    def boxes(self, frames: NDArray[np.uint8]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """For each frame [L,H,W,3]: left, top, right, bottom [n,4] in pixels, and scores [n]."""
        ...


class Segmenter(Protocol):
    """Draws what is in boxes."""

    def masks(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """A mask [n,H,W] for each box of a frame [H,W,3]."""
        ...


class GroundedSam:
    """Masks of everybody, [L,P,H,W]; which of them is the subject's is settled by his joints."""

    def __init__(self, info: AnnotatorInfo, detector: Detector, segmenter: Segmenter) -> None:
        self.info = info
        self._detector, self._segmenter = detector, segmenter

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Networks go with the object."""

    def mask(self, batch: Batch) -> NDArray[np.uint8]:
        """A layer a person, 255 where he is; as many layers as the fullest frame has people."""
        found = [surest(boxes, scores) for boxes, scores in self._detector.boxes(batch.frames)]
        size = batch.frames.shape[1:3]
        masks = [
            self._segmenter.masks(frame, boxes) if len(boxes) else np.zeros((0, *size), bool)
            for frame, boxes in zip(batch.frames, found, strict=True)
        ]
        return layered(masks, size)


def layered(found: list[NDArray[np.bool_]], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """The masks [n,H,W] of each frame, however many, as layers [L,P,H,W] of 0 and 255."""
    layers = np.zeros((len(found), max(map(len, found)), *size), np.uint8)
    for layer, masks in zip(layers, found, strict=True):
        layer[: len(masks)] = masks * np.uint8(255)
    return layers


def surest(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The boxes of different people, the surest first."""
    return boxes[kept(boxes, scores)][:MOST_PEOPLE]


class TransformersDetector:
    """GroundingDINO from a transformers folder."""

    def __init__(self, setting: Setting) -> None:
        from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

        from idol_prep.annotators._hub_model import load_model, load_processor

        folder = setting.weights.require("grounding-dino")
        self._device = setting.device.torch
        self._processor: Any = load_processor(GroundingDinoProcessor, folder)
        self._model: Any = load_model(GroundingDinoForObjectDetection, folder).to(self._device)

    def boxes(self, frames: NDArray[np.uint8]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """People in each frame."""
        import torch

        shown = self._processor(images=list(frames), text=[PROMPT] * len(frames), return_tensors="pt").to(self._device)
        with torch.inference_mode():
            found = self._model(**shown)
        answers = self._processor.post_process_grounded_object_detection(
            found,
            shown["input_ids"],
            threshold=BOX_SCORE,
            text_threshold=WORD_SCORE,
            target_sizes=[frames.shape[1:3]] * len(frames),
        )
        return [(answer["boxes"].cpu().numpy(), answer["scores"].cpu().numpy()) for answer in answers]


class TransformersSegmenter:
    """SAM from a transformers folder; a frame is embedded once for all its boxes."""

    def __init__(self, setting: Setting) -> None:
        from transformers import SamModel, SamProcessor

        from idol_prep.annotators._hub_model import load_model, load_processor

        folder = setting.weights.require("sam")
        self._device = setting.device.torch
        self._processor: Any = load_processor(SamProcessor, folder)
        self._model: Any = load_model(SamModel, folder).to(self._device)

    def masks(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """One mask a box."""
        import torch

        shown = self._processor(frame, input_boxes=[boxes.astype(float).tolist()], return_tensors="pt")
        sizes = shown["original_sizes"], shown["reshaped_input_sizes"]
        inputs = {name: shown[name].float().to(self._device) for name in ("pixel_values", "input_boxes")}
        with torch.inference_mode():
            found = self._model(**inputs, multimask_output=False)
        (masks,) = self._processor.image_processor.post_process_masks(found.pred_masks.cpu(), *sizes)
        return masks[:, 0].numpy().astype(bool)


def make(setting: Setting) -> GroundedSam:
    """Both networks by transformers."""
    return GroundedSam(describe(), TransformersDetector(setting), TransformersSegmenter(setting))


def describe() -> AnnotatorInfo:
    """Version and licence."""
    from importlib.metadata import version

    return AnnotatorInfo(
        name="grounded_sam",
        kind="mask",
        version=f"transformers {version('transformers')}",
        licence="Apache-2.0",
        source="https://huggingface.co/IDEA-Research/grounding-dino-tiny, https://huggingface.co/facebook/sam-vit-huge",
        note='GroundingDINO ("person") and SAM, a mask for everybody',
    )
