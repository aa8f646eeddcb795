"""Pose by MediaPipe (BlazePose, 33 landmarks), as OpenPose-18; its models lie in the wheel, nothing is downloaded.

One person a frame: the one MediaPipe finds first, followed as long as he is seen. `PersonEngine` runs the network and
serves the pose and the mask annotator from one pass.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep.annotators._quiet import quiet_stderr
from idol_prep.annotators.protocol import AnnotatorInfo, Batch, PoseTrack, Relief
from idol_prep.pose import Keypoints
from idol_prep.pose.formats import mark_missing

MISSING = 'MediaPipe 0.10 is missing; install it with: pip install "idol-video-depth[prep]"'
LICENCE = "Apache-2.0"

_MODELS = ("modules/pose_detection/pose_detection.tflite", "modules/pose_landmark/pose_landmark_full.tflite")
_NECK = -1
_OPENPOSE_FROM_BLAZE = (0, _NECK, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
"""BlazePose landmark of each OpenPose-18 joint; the neck is the middle of the shoulders (11, 12)."""


class MediapipeMissingError(ImportError):
    """MediaPipe, or the part of it that is needed, is not installed."""


class PersonEngine:
    """MediaPipe's pose graph: landmarks, 3D landmarks and the person's mask of each frame, once.

    The last batch's answer is kept, so that whoever asks second for the same frames pays nothing.
    """

    def __init__(self, *, segmentation: bool) -> None:
        self._solutions = _load_solutions()
        self._segmentation = segmentation
        self._graph: Any = None
        self._fresh = True
        self._last: tuple[NDArray[np.uint8], PoseTrack, NDArray[np.uint8]] | None = None

    def reset(self) -> None:
        """Forget the person that was followed."""
        self._last = None
        self._fresh = True

    def close(self) -> None:
        """Let the network and its threads go; a later `run` starts anew."""
        self.reset()
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def run(self, frames: NDArray[np.uint8]) -> tuple[PoseTrack, NDArray[np.uint8]]:
        """Pose track and mask uint8 [L,H,W] of ``frames`` [L,H,W,3]; the mask is empty without segmentation."""
        if self._last is None or self._last[0] is not frames:
            self._last = (frames, *self._run(frames))
        return self._last[1:]

    def _run(self, frames: NDArray[np.uint8]) -> tuple[PoseTrack, NDArray[np.uint8]]:
        length, height, width = frames.shape[:3]
        landmarks = np.zeros((length, 33, 4), np.float32)
        found = np.zeros(length, bool)
        mask = np.zeros((length, height, width) if self._segmentation else (length, 0, 0), np.uint8)
        for index, frame in enumerate(frames):
            answer = self._process(frame)
            if answer.pose_landmarks is None:
                continue
            found[index] = True
            landmarks[index] = _read_landmarks(answer)
            if self._segmentation and answer.segmentation_mask is not None:
                np.multiply(answer.segmentation_mask, 255.0, out=mask[index], casting="unsafe")
        landmarks[..., :2] *= (width, height)
        return _track(landmarks, found), mask

    def _process(self, frame: NDArray[np.uint8]) -> Any:
        if not self._fresh:
            return self._graph.process(frame)
        # The graph's threads chatter from its start until the first answer: start and answer belong together.
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf's deprecations are for MediaPipe to mend
            self._start()
            answer = self._graph.process(frame)
        self._fresh = False
        return answer

    def _start(self) -> None:
        if self._graph is None:
            self._graph = self._solutions.Pose(enable_segmentation=self._segmentation, smooth_segmentation=False)
        else:
            self._graph.reset()


class MediapipePose:
    """OpenPose-18 joints by MediaPipe; a joint's score is the visibility that MediaPipe gives it."""

    def __init__(self, engine: PersonEngine) -> None:
        self._engine = engine
        self.info = describe()

    def reset(self) -> None:
        """Forget the person that was followed."""
        self._engine.reset()

    def close(self) -> None:
        """Let the network go."""
        self._engine.close()

    def pose(self, batch: Batch) -> PoseTrack:
        """Joints of one person a frame, in pixels of the batch's frames."""
        return self._engine.run(batch.frames)[0]


def openpose_from_blaze(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """BlazePose landmarks [...,33,3] (x, y, visibility) as OpenPose-18 [...,18,3].

    The neck lies between the shoulders, as visible as the less visible of the two.
    """
    shoulders = points[..., (11, 12), :]
    neck = np.concatenate([shoulders[..., :2].mean(axis=-2), shoulders[..., 2].min(axis=-1)[..., None]], axis=-1)
    joints = points[..., _OPENPOSE_FROM_BLAZE, :]
    joints[..., 1, :] = neck
    return joints


def describe() -> AnnotatorInfo:
    """Version and weights, without importing MediaPipe."""
    return AnnotatorInfo(
        name="mediapipe",
        kind="pose",
        version=version(),
        licence=LICENCE,
        weights=weights(),
        note="BlazePose full, 33 landmarks as OpenPose-18, neck between the shoulders; one person",
    )


def missing() -> str:
    """Why it cannot run here, in a few words; empty where it can."""
    return "" if version() and weights() else MISSING


@cache
def version() -> str:
    """The installed MediaPipe's version; empty where there is none."""
    try:
        return metadata.version("mediapipe")
    except metadata.PackageNotFoundError:
        return ""


@cache
def weights() -> dict[str, str]:
    """SHA-256 of the two networks by file name; empty where the wheel does not carry them."""
    spec = util.find_spec("mediapipe")
    roots = list(spec.submodule_search_locations or []) if spec else []
    paths = [Path(root) / model for root in roots for model in _MODELS]
    if not paths or not all(path.is_file() for path in paths):
        return {}
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _load_solutions() -> Any:
    if missing():
        raise MediapipeMissingError(MISSING)
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mediapipe.python.solutions import pose
        except ImportError as error:
            raise MediapipeMissingError(f"{MISSING} ({error})") from error
    return pose


def _read_landmarks(answer: Any) -> NDArray[np.float32]:
    """[33,4]: x, y in parts of the frame, visibility, z in metres."""
    world = answer.pose_world_landmarks.landmark
    flat = [(p.x, p.y, p.visibility, w.z) for p, w in zip(answer.pose_landmarks.landmark, world, strict=True)]
    return np.asarray(flat, np.float32)


def _track(landmarks: NDArray[np.float32], found: NDArray[np.bool_]) -> PoseTrack:
    joints = openpose_from_blaze(landmarks[..., :3])[:, None]
    lost = ~found[:, None]
    xy, score = mark_missing(joints[..., :2], np.where(lost[..., None], 0, joints[..., 2]))
    relief = Relief(
        xy=np.where(lost[..., None], np.nan, landmarks[..., :2]).astype(np.float32),
        z=np.where(lost, np.nan, landmarks[..., 3]).astype(np.float32),
    )
    return PoseTrack(keypoints=Keypoints(xy=xy, score=score, format="openpose18"), relief=relief)
