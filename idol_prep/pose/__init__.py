"""Body poses: keypoint formats, one versioned renderer, OpenPose JSON files, smoothing, following a person."""

from idol_prep.pose.formats import (
    COCO17_JOINTS,
    OPENPOSE18_JOINTS,
    OPENPOSE18_LIMBS,
    WHOLE_BODY_FORMATS,
    KeypointFormat,
    Keypoints,
    PoseError,
    openpose18_from_body25,
    openpose18_from_coco17,
    to_openpose18,
)
from idol_prep.pose.openpose_json import from_openpose_json, people_of
from idol_prep.pose.render import RENDER_STYLE, WHOLE_BODY_STYLE, RenderStyle, render
from idol_prep.pose.smooth import Smoothed, smooth
from idol_prep.pose.tracking import POLICIES, SubjectPolicy, crowd, follow

__all__ = [
    "COCO17_JOINTS",
    "OPENPOSE18_JOINTS",
    "OPENPOSE18_LIMBS",
    "POLICIES",
    "RENDER_STYLE",
    "WHOLE_BODY_FORMATS",
    "WHOLE_BODY_STYLE",
    "KeypointFormat",
    "Keypoints",
    "PoseError",
    "RenderStyle",
    "Smoothed",
    "SubjectPolicy",
    "crowd",
    "follow",
    "from_openpose_json",
    "openpose18_from_body25",
    "openpose18_from_coco17",
    "people_of",
    "render",
    "smooth",
    "to_openpose18",
]
