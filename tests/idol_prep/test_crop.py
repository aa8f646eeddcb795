"""One box a frame: where it lies, and what is cut along it."""

import numpy as np
import pytest

from idol_prep.crop import cut_depth, cut_mask, cut_picture, move_points, plan, subject_boxes
from idol_prep.pose import Keypoints


def boxes_along(centres: list[tuple[float, float]], width: float = 40, height: float = 100) -> np.ndarray:
    return np.array([(x - width / 2, y - height / 2, x + width / 2, y + height / 2) for x, y in centres], float)


def test_a_person_who_stays_gets_a_box_that_rests():
    steps = [(200 + 3 * np.sin(t), 150.0) for t in range(30)]
    crop = plan("person", boxes_along(steps), (300, 400), 64, 25)
    assert np.ptp(crop.left) == np.ptp(crop.top) == 0
    assert crop.width == crop.height == pytest.approx(112)


def test_a_person_who_walks_is_followed_smoothly_at_one_scale():
    walk = [(80 + 4 * t + 6 * (t % 2), 150.0) for t in range(100)]
    crop = plan("person", boxes_along(walk), (300, 600), 64, 25)
    speed = np.diff(crop.left)
    assert crop.width == pytest.approx(112)
    assert crop.left[-1] - crop.left[0] > 300
    assert np.abs(np.diff(speed)).max() < 0.5
    assert (crop.left >= 0).all()
    assert (crop.left + crop.width <= 600).all()


def test_gaps_are_filled_for_the_box_only():
    path = boxes_along([(100 + 10 * t, 150.0) for t in range(30)])
    holes = path.copy()
    holes[10:14] = np.nan
    np.testing.assert_allclose(
        plan("person", holes, (300, 600), 64, 25).left, plan("person", path, (300, 600), 64, 25).left
    )


def test_the_margin_is_given_up_before_the_box_leaves_the_frame():
    crop = plan("person", boxes_along([(200, 150)] * 5, height=280), (300, 400), 64, 25)
    assert (crop.height, crop.top[0]) == (300, 0)


def test_a_tall_person_in_an_upright_video_gets_a_border():
    crop = plan("person", boxes_along([(100, 200)] * 5, height=380), (400, 200), 64, 25)
    assert crop.width >= 380
    picture = cut_picture(np.full((400, 200, 3), 200, np.uint8), crop.box(0), crop.size)
    assert (picture[:, 0] == 0).all()
    assert (picture[32, 32] == 200).all()
    assert not cut_mask(np.full((400, 200), 255, np.uint8), crop.box(0), crop.size)[:, 0].any()


def test_center_and_none():
    nobody = np.full((3, 4), np.nan)
    centre = plan("center", nobody, (100, 200), 64, 25)
    assert (centre.left[0], centre.top[0], centre.width, centre.size) == (50, 0, 100, (64, 64))
    whole = plan("none", nobody, (720, 1280), 256, 25)
    assert (whole.width, whole.height, whole.size) == (1280, 720, (256, 456))


def test_all_tracks_move_alike():
    crop = plan("center", np.full((1, 4), np.nan), (64, 128), 32, 25)
    picture, mask = np.zeros((64, 128, 3), np.uint8), np.zeros((64, 128), np.uint8)
    depth = np.full((64, 128), np.nan, np.float32)
    block = (slice(20, 28), slice(60, 68))
    picture[block], mask[block], depth[block] = 255, 255, 7
    (point,) = move_points(np.array([[[64.0, 24.0]]], np.float32), crop)[0]
    np.testing.assert_allclose(point, (16, 12))
    rows, columns = np.nonzero(cut_mask(mask, crop.box(0), crop.size))
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == (12, 16)
    cut = cut_depth(depth, crop.box(0), crop.size)
    assert set(cut[np.isfinite(cut)]) == {7}
    np.testing.assert_array_equal(np.isfinite(cut), cut_mask(mask, crop.box(0), crop.size) > 0)
    assert cut_picture(picture, crop.box(0), crop.size)[12, 16].min() > 200


def test_the_subject_is_joints_and_mask_together():
    xy, score = np.zeros((2, 1, 18, 2), np.float32), np.zeros((2, 1, 18), np.float32)
    xy[0, 0, 0], xy[0, 0, 1], score[0, 0, :2] = (10, 20), (30, 60), 1
    boxes = subject_boxes(Keypoints(xy=xy, score=score), np.array([(5, 25, 25, 80), (np.nan,) * 4], float))
    np.testing.assert_array_equal(boxes[0], (5, 20, 30, 80))
    assert np.isnan(boxes[1]).all()
