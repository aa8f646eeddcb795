"""Keypoint formats and the way to OpenPose-18."""

from pathlib import Path

import numpy as np
import pytest

from idol_prep.pose import (
    COCO17_JOINTS,
    OPENPOSE18_JOINTS,
    OPENPOSE18_LIMBS,
    Keypoints,
    PoseError,
    openpose18_from_coco17,
    to_openpose18,
)

BODY25_JOINTS = (*OPENPOSE18_JOINTS[:8], "mid_hip", *OPENPOSE18_JOINTS[8:], *("foot",) * 6)


def numbered(joints: int, keypoint_format: str) -> Keypoints:
    """Joint i of one person lies at (i, 100 + i), with score (i + 1) / joints."""
    number = np.arange(joints, dtype=np.float32)
    xy = np.stack([number, 100 + number], axis=-1)[None, None]
    return Keypoints(xy=xy, score=((number + 1) / joints)[None, None], format=keypoint_format)  # type: ignore[arg-type]


@pytest.mark.parametrize(("joints", "name"), [(17, "coco17"), (133, "wholebody133")])
def test_coco_joints_keep_their_names(joints: int, name: str):
    made = to_openpose18(numbered(joints, name))
    assert made.format == "openpose18"
    for index, joint in enumerate(OPENPOSE18_JOINTS):
        if joint != "neck":
            assert made.xy[0, 0, index, 0] == COCO17_JOINTS.index(joint)
    left, right = COCO17_JOINTS.index("left_shoulder"), COCO17_JOINTS.index("right_shoulder")
    assert made.xy[0, 0, 1, 0] == (left + right) / 2
    assert made.score[0, 0, 1] == pytest.approx((min(left, right) + 1) / joints)


def test_body25_joints_keep_their_names():
    made = to_openpose18(numbered(25, "body25"))
    for index, joint in enumerate(OPENPOSE18_JOINTS):
        assert made.xy[0, 0, index, 0] == BODY25_JOINTS.index(joint)


def test_wholebody134_begins_with_openpose18():
    made = to_openpose18(numbered(134, "wholebody134"))
    np.testing.assert_array_equal(made.xy[0, 0, :, 0], np.arange(18))


def test_no_neck_without_both_shoulders():
    keypoints = numbered(17, "coco17")
    score = keypoints.score[0, 0].copy()
    score[COCO17_JOINTS.index("left_shoulder")] = 0
    xy, new_score = openpose18_from_coco17(keypoints.xy[0, 0], score)
    neck, shoulder = 1, OPENPOSE18_JOINTS.index("left_shoulder")
    assert new_score[neck] == new_score[shoulder] == 0
    assert xy[neck].tolist() == xy[shoulder].tolist() == [-1, -1]
    assert (new_score > 0).sum() == 16


def test_limbs_join_neighbours_of_one_side():
    for a, b in OPENPOSE18_LIMBS:
        sides = {OPENPOSE18_JOINTS[i].split("_")[0] for i in (a, b)} & {"left", "right"}
        assert len(sides) <= 1
    assert len(set(OPENPOSE18_LIMBS)) == 17


def test_keypoints_survive_their_file(tmp_path: Path):
    keypoints = numbered(18, "openpose18")
    keypoints.save(tmp_path / "keypoints.npz")
    loaded = Keypoints.load(tmp_path / "keypoints.npz")
    np.testing.assert_array_equal(loaded.xy, keypoints.xy)
    np.testing.assert_array_equal(loaded.score, keypoints.score)
    assert loaded.format == "openpose18"


@pytest.mark.parametrize(
    ("xy", "score", "name"),
    [
        ((2, 1, 18, 2), (2, 1, 17), "openpose18"),
        ((2, 1, 17, 2), (2, 1, 17), "openpose18"),
        ((2, 18, 2), (2, 18), "openpose18"),
        ((2, 1, 18, 2), (2, 1, 18), "kinect"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(xy: tuple, score: tuple, name: str):
    with pytest.raises(PoseError):
        Keypoints(xy=np.zeros(xy, np.float32), score=np.zeros(score, np.float32), format=name)  # type: ignore[arg-type]
