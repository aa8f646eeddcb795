"""Scores of a clip, and reasons to leave it out."""

import numpy as np
import pytest

from idol_prep.pose import Keypoints
from idol_prep.quality import ClipMeter, QualityLimits, pose_scores, why_reject


def walking(length: int = 10) -> Keypoints:
    """Eighteen joints of a body of height 100 that moves 5 pixels a frame."""
    grid = np.stack([np.linspace(0, 40, 18), np.linspace(0, 100, 18)], -1)
    xy = grid[None, None] + np.arange(length)[:, None, None, None] * np.array([5.0, 0.0])
    return Keypoints(xy=xy.astype(np.float32), score=np.ones((length, 1, 18), np.float32))


def test_pose_scores_of_a_steady_walk():
    assert pose_scores(walking()) == {"missed_frames": 0, "missed_joints": 0, "jumps": 0}


def test_pose_scores_see_gaps_and_jumps():
    steady = walking()
    xy, score = steady.xy.copy(), steady.score.copy()
    score[3] = 0
    score[5, :, :9] = 0
    xy[8:] += 60
    scores = pose_scores(Keypoints(xy=xy, score=score))
    assert scores["missed_frames"] == pytest.approx(0.1)
    assert scores["missed_joints"] == pytest.approx(9 / (9 * 18))
    assert scores["jumps"] == pytest.approx(1 / 7)


def test_meter_adds_up_over_chunks():
    rng = np.random.default_rng(0)
    mask = (rng.random((6, 16, 16)) > 0.5).astype(np.uint8)
    depth = np.where(mask > 0, rng.random((6, 16, 16)), np.nan).astype(np.float32)
    once, pieces = ClipMeter(), ClipMeter()
    once.add(mask, depth)
    for part in (slice(0, 1), slice(1, 4), slice(4, 6)):
        pieces.add(mask[part], depth[part])
    assert once.scores(walking(6), 2.0, 1.0) == pieces.scores(walking(6), 2.0, 1.0)
    scores = once.scores(walking(6), 2.0, 1.0)
    assert scores["mask_area"] == pytest.approx(mask.mean(), abs=1e-4)
    assert scores["depth_cover"] == 1
    assert 0.2 < scores["depth_flicker"] < 0.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"missed_frames": 1.0}, "no person: nobody was found in any frame"),
        ({"missed_frames": 0.6}, "no person: nobody was found in 60% of the frames"),
        ({"jumps": 0.5}, "unsteady: the body jumps in 50% of the steps; several persons, or cuts?"),
        ({"mask_area": 0.001}, "no mask: the person covers 0.10% of the picture"),
    ],
)
def test_reasons_to_reject(change, reason):
    good = {"missed_frames": 0.0, "missed_joints": 0.1, "jumps": 0.0, "mask_area": 0.2}
    assert why_reject(good | change, 20, QualityLimits()) == reason
