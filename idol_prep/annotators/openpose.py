"""OpenPose-18 by the network that controlnet-aux carries, several people a frame, with our own fast assembly.

One scale, as controlnet-aux: the network sees frames 184 pixels high. Weights: CMU's, for academic non-commercial use.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators._openpose_maps import STRIDE, enlargement, find_peaks
from idol_prep.annotators._openpose_people import JOINTS, assemble
from idol_prep.annotators._stored import stored_tensors
from idol_prep.annotators.protocol import AnnotatorInfo, Batch, PoseTrack
from idol_prep.pose import Keypoints
from idol_prep.schema import DataError

if TYPE_CHECKING:
    from idol_prep.annotators import Setting

MISSING = 'controlnet-aux is missing; install it with: pip install "idol-video-depth[openpose]"'
_HEIGHT = 184
"""Half of OpenPose's 368, controlnet-aux's only scale."""
_PADDING = 128

Person = tuple[NDArray[np.float32], NDArray[np.float32]]


class OpenPose:
    """Joints of everybody in each frame, in pixels of the frame; scores are the heat maps' values."""

    def __init__(self, setting: Setting) -> None:
        self.info = describe()
        self._device = setting.device.torch
        self._network = load_network(setting.weights.require("openpose")).to(self._device)

    def reset(self) -> None:
        """Nothing is carried over."""

    def close(self) -> None:
        """Let the network go."""
        self._network = None

    def pose(self, batch: Batch) -> PoseTrack:
        """Everybody's joints, [L,P,18]."""
        fields, heat = self._maps(batch.frames)
        size = batch.frames.shape[1:3]
        people = [people_in(one_heat, one_fields, size) for one_heat, one_fields in zip(heat, fields, strict=True)]
        return PoseTrack(keypoints=keypoints_of(people))

    def _maps(self, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import torch

        shown = np.stack([network_input(frame) for frame in frames])
        with torch.inference_mode():
            fields, heat = self._network(torch.from_numpy(shown).to(self._device))  # type: ignore[misc]
        return fields.float().cpu().numpy(), heat.float().cpu().numpy()


def network_input(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame RGB [H,W,3] as the network wants it: BGR [3,184,w], -0.5 to 0.5, padded to whole cells."""
    import cv2

    height, width = frame.shape[:2]
    scale = _HEIGHT / height
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
    small = cv2.resize(
        np.ascontiguousarray(frame[..., ::-1]), (int(width * scale), int(height * scale)), interpolation=method
    )
    room = [(0, -side % STRIDE) for side in small.shape[:2]]
    padded = np.pad(small, (*room, (0, 0)), constant_values=_PADDING)
    return padded.transpose(2, 0, 1).astype(np.float32) / 256 - np.float32(0.5)


def people_in(heat: NDArray[np.float32], fields: NDArray[np.float32], size: tuple[int, ...]) -> list[Person]:
    """People from one frame's maps: ``heat`` [19,h,w], ``fields`` [38,h,w], of a frame of ``size``."""
    height, width = size[:2]
    scale = _HEIGHT / height
    down = enlargement(heat.shape[1], height, int(height * scale))
    across = enlargement(heat.shape[2], width, int(width * scale))
    return assemble(find_peaks(heat[:JOINTS], down, across), fields, down, across)


def keypoints_of(frames: list[list[Person]]) -> Keypoints:
    """Frames of people as one array, with as many slots as the fullest frame has people."""
    slots = max(1, *(len(people) for people in frames))
    xy = np.full((len(frames), slots, JOINTS, 2), -1, np.float32)
    score = np.zeros(xy.shape[:3], np.float32)
    for number, people in enumerate(frames):
        for slot, (joints, sure) in enumerate(people):
            xy[number, slot], score[number, slot] = joints, sure
    return Keypoints(xy=xy, score=score)


def load_network(weights: Path) -> Any:
    """controlnet-aux's body network with these weights. Raises `DataError` for a file of another network."""

    network = _model_class()()
    stored = stored_tensors(weights)
    try:
        # the published file names its layers without the block they stand in
        network.load_state_dict({name: stored[name.partition(".")[2]] for name in network.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise DataError(f"{weights}: is no OpenPose body model ({error}); see `idol prep annotators`") from error
    return network.eval()


def describe() -> AnnotatorInfo:
    """Version and licence, without importing controlnet-aux."""
    return AnnotatorInfo(
        name="openpose",
        kind="pose",
        version=_version(),
        licence="CMU, academic and non-commercial (network and weights)",
        commercial=False,
        source="https://huggingface.co/lllyasviel/Annotators",
        note="body network of controlnet-aux at one scale, several people",
    )


def missing() -> str:
    """What is not installed; empty where nothing is missing."""
    return "" if _version() else MISSING


def _version() -> str:
    try:
        return metadata.version("controlnet-aux") if util.find_spec("controlnet_aux") else ""
    except metadata.PackageNotFoundError:
        return ""


def _model_class() -> Any:
    """The network's class. The package imports all of its detectors, and they chatter."""
    if missing():
        raise ImportError(MISSING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from controlnet_aux.open_pose.model import bodypose_model
    return bodypose_model
