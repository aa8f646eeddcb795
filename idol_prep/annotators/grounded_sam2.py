"""Grounded-SAM 2: GroundingDINO finds people in a key frame, SAM 2 follows them from there; by transformers' classes.

Every `STRIDE` frames people are looked for anew and SAM 2 forgets what it saw: newcomers are found, nobody is followed
for long after a mistake, and memory holds `STRIDE` frames however long the clip is. A frame in which nobody is found
has no layer, and the next one is a key frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators.grounded_sam import Detector, TransformersDetector, layered, surest
from idol_prep.annotators.protocol import AnnotatorInfo, Batch

if TYPE_CHECKING:
    from idol_prep.annotators import Setting

STRIDE = 20
"""Frames from one key frame to the next, as in the authors' own Grounded-SAM-2 scripts."""


class Follower(Protocol):
    """Follows what is in boxes through consecutive frames."""

    def begin(self, boxes: NDArray[np.float32], size: tuple[int, int]) -> None:
        """Forget all; the next frame, of height and width ``size``, holds these boxes [n,4] in pixels."""
        ...

    def masks(self, frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """A mask [n,H,W] for each of them in the next frame [H,W,3]."""
        ...


class GroundedSam2:
    """Masks of everybody, [L,P,H,W]; which of them is the subject's is settled by his joints."""

    def __init__(self, info: AnnotatorInfo, detector: Detector, follower: Follower) -> None:
        self.info = info
        self._detector, self._follower = detector, follower
        self._until_key = 0

    def reset(self) -> None:
        """The next frame is a key frame."""
        self._until_key = 0

    def close(self) -> None:
        """Networks go with the object."""

    def mask(self, batch: Batch) -> NDArray[np.uint8]:
        """A layer a person, 255 where he is; as many layers as the fullest frame has people."""
        return layered([self._people(frame) for frame in batch.frames], batch.frames.shape[1:3])

    def _people(self, frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
        size = frame.shape[0], frame.shape[1]
        if not self._until_key:
            boxes = surest(*self._detector.boxes(frame[None])[0])
            if not len(boxes):
                return np.zeros((0, *size), bool)
            self._follower.begin(boxes, size)
            self._until_key = STRIDE
        self._until_key -= 1
        return self._follower.masks(frame)


class TransformersFollower:
    """SAM 2's video network from a transformers folder; frames are handed to it one by one."""

    def __init__(self, setting: Setting) -> None:
        from transformers import Sam2VideoModel, Sam2VideoProcessor

        from idol_prep.annotators._hub_model import load_model, load_processor

        folder = setting.weights.require("sam2")
        self._device = setting.device.torch
        self._processor: Any = load_processor(Sam2VideoProcessor, folder)
        self._model: Any = load_model(Sam2VideoModel, folder).to(self._device)
        self._session: Any = None

    def begin(self, boxes: NDArray[np.float32], size: tuple[int, int]) -> None:
        """A session of its own for these people."""
        self._session = self._processor.init_video_session(inference_device=self._device)
        self._processor.add_inputs_to_inference_session(
            self._session,
            frame_idx=0,
            obj_ids=list(range(len(boxes))),
            input_boxes=[boxes.astype(float).tolist()],
            original_size=size,
        )

    def masks(self, frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """One mask a person, empty where he is hidden."""
        import torch

        shown = self._processor(images=frame, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            found = self._model(inference_session=self._session, frame=shown["pixel_values"][0])
        (masks,) = self._processor.post_process_masks([found.pred_masks.cpu()], [frame.shape[:2]])
        return masks[:, 0].numpy()


def make(setting: Setting) -> GroundedSam2:
    """Both networks by transformers."""
    return GroundedSam2(describe(), TransformersDetector(setting), TransformersFollower(setting))


def describe() -> AnnotatorInfo:
    """Version and licence."""
    from importlib.metadata import version

    return AnnotatorInfo(
        name="grounded_sam2",
        kind="mask",
        version=f"transformers {version('transformers')}",
        licence="Apache-2.0",
        source="https://huggingface.co/IDEA-Research/grounding-dino-tiny, https://huggingface.co/facebook/sam2.1-hiera-small",
        note='GroundingDINO ("person") in key frames, SAM 2 through the video, a mask for everybody',
    )
