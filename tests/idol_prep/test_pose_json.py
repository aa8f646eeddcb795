"""Pose files of OpenPose, of ControlNet tools, and of DisCo."""

import json
from pathlib import Path

import numpy as np
import pytest

from idol_prep.pose import OPENPOSE18_JOINTS, PoseError, from_openpose_json


def flat(joints: int, shift: float = 0.0) -> list[float]:
    return [value for i in range(joints) for value in (i + shift, 2 * i + shift, 0.5)]


def write(folder: Path, documents: dict[str, object]) -> Path:
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    return folder


def test_openpose_18_in_natural_order(tmp_path: Path):
    documents = {
        f"clip_{number}_keypoints.json": {"people": [{"pose_keypoints_2d": flat(18, 10 * number)}]}
        for number in (10, 2, 1)
    }
    keypoints = from_openpose_json(write(tmp_path, documents))
    np.testing.assert_array_equal(keypoints.xy[:, 0, 0, 0], [10, 20, 100])
    assert keypoints.score[0, 0].tolist() == [0.5] * 18


def test_body25_and_people_that_come_and_go(tmp_path: Path):
    person = {"pose_keypoints_2d": flat(25)}
    documents = {"0.json": {"people": []}, "1.json": {"people": [person, person]}, "2.json": {"people": [person]}}
    keypoints = from_openpose_json(write(tmp_path, documents))
    assert keypoints.xy.shape == (3, 2, 18, 2)
    np.testing.assert_array_equal((keypoints.score > 0).any(axis=2), [[0, 0], [1, 1], [1, 0]])
    assert keypoints.xy[1, 0, OPENPOSE18_JOINTS.index("left_ear"), 0] == 18


def test_missing_joints_and_empty_people(tmp_path: Path):
    numbers = flat(18)
    numbers[6:9] = [0, 0, 0]
    people = [{"pose_keypoints_2d": numbers}, {"pose_keypoints_2d": []}]
    keypoints = from_openpose_json(write(tmp_path, {"0.json": {"people": people}}))
    assert keypoints.people == 1
    assert keypoints.score[0, 0, 2] == 0
    assert keypoints.xy[0, 0, 2].tolist() == [-1, -1]


def test_controlnet_list_in_parts_of_the_canvas(tmp_path: Path):
    numbers = [value for i in range(18) for value in (i / 20, 0.5, 1)]
    document = [{"people": [{"pose_keypoints_2d": numbers}], "canvas_width": 200, "canvas_height": 100}]
    keypoints = from_openpose_json(write(tmp_path, {"0.json": document}))
    assert keypoints.xy[0, 0, 10].tolist() == pytest.approx([100, 50])


def test_disco_lists_of_coco_joints(tmp_path: Path):
    person = [[10 + i, 20 + i, 0.9] for i in range(17)]
    person[5] = [-1, -1, -1]
    keypoints = from_openpose_json(write(tmp_path, {"0.json": [person], "1.json": []}))
    assert keypoints.score[0, 0, 1] == 0, "no neck without the left shoulder"
    assert keypoints.xy[0, 0, OPENPOSE18_JOINTS.index("right_shoulder")].tolist() == [16, 26]
    assert keypoints.score[1].max() == 0


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"people": [{"pose_keypoints_2d": [1, 2, 3]}]}, "3 numbers"),
        ({"people": [{"pose_keypoints_2d": "x"}]}, "not 18 or 25 joints"),
        ({"shapes": []}, "no OpenPose JSON"),
        ([[[1, 2, 3]]], "expected 17 joints"),
        ("text", "no OpenPose JSON"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, document: object, message: str):
    with pytest.raises(PoseError, match=message):
        from_openpose_json(write(tmp_path, {"0.json": document}))


def test_empty_folders_and_broken_files_are_refused(tmp_path: Path):
    with pytest.raises(PoseError, match=r"no \.json files"):
        from_openpose_json(tmp_path)
    (tmp_path / "0.json").write_text("{")
    with pytest.raises(PoseError, match=r"0\.json: is not JSON"):
        from_openpose_json(tmp_path)
