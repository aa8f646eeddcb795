"""People found in pictures and videos by the offline annotators of idol_prep (the extra ``prep``)."""

from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from typing import Any

_BATCH = 16
"""Frames held at once."""


def find_mask(rgb_HW3: Any) -> Any:
    """How much of each pixel is the main person, uint8 [H, W], 0 nothing, 255 all."""
    from idol_prep.annotators.mediapipe_mask import MediapipeMask
    from idol_prep.annotators.mediapipe_pose import PersonEngine
    from idol_prep.annotators.protocol import Batch

    with closing(PersonEngine(segmentation=True)) as engine:
        return MediapipeMask(engine).mask(Batch(frames=rgb_HW3[None]))[0]


def find_poses(frames: Iterable[Any], found: Callable[[int], None]) -> Any:
    """The main person's joints in each frame (`idol_prep.pose.Keypoints`); ``found`` hears the count of frames done."""
    import numpy as np

    from idol_prep.annotators.mediapipe_pose import MediapipePose, PersonEngine
    from idol_prep.annotators.protocol import Batch
    from idol_prep.pose import Keypoints

    source, tracks, done = iter(frames), [], 0
    with closing(PersonEngine(segmentation=False)) as engine:
        annotator = MediapipePose(engine)
        while batch := list(islice(source, _BATCH)):
            tracks.append(annotator.pose(Batch(frames=np.stack(batch))).keypoints)
            done += len(batch)
            found(done)
    return Keypoints(
        xy=np.concatenate([track.xy for track in tracks]),
        score=np.concatenate([track.score for track in tracks]),
        format=tracks[0].format,
    )
