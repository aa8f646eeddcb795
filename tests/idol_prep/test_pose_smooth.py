"""Smoothing in time, with gaps respected."""

import numpy as np
import pytest

from idol_prep.pose import Keypoints, PoseError, smooth


def track(x: np.ndarray, score: np.ndarray) -> Keypoints:
    xy = np.repeat(np.stack([x, x], axis=-1)[:, None, None], 18, axis=2).astype(np.float32)
    return Keypoints(xy=xy, score=np.repeat(score[:, None, None], 18, axis=2).astype(np.float32))


def test_noise_shrinks_and_straight_motion_stays():
    noisy = np.random.default_rng(0).normal(50, 2, 200)
    calm = smooth(track(noisy, np.ones(200)), sigma=2).keypoints.xy[:, 0, 0, 0]
    assert calm.std() < 0.5 * noisy.std()
    line = np.arange(50.0)
    moved = smooth(track(line, np.ones(50)), sigma=1).keypoints.xy[5:-5, 0, 0, 0]
    np.testing.assert_allclose(moved, line[5:-5], atol=1e-4)


def test_unsure_joints_have_little_say():
    x, score = np.full(9, 10.0), np.ones(9)
    x[4], score[4] = 90, 0.01
    assert smooth(track(x, score)).keypoints.xy[4, 0, 0, 0] < 13


def test_gaps_are_marked_never_filled_nor_reached_over():
    x, score = np.array([10.0, 10, 10, 0, 90, 90, 90]), np.array([1.0, 1, 1, 0, 1, 1, 1])
    result = smooth(track(x, score), sigma=2)
    np.testing.assert_array_equal(result.gaps[:, 0, 0], score == 0)
    np.testing.assert_allclose(result.keypoints.xy[:, 0, 0, 0], [10, 10, 10, -1, 90, 90, 90])
    np.testing.assert_array_equal(result.keypoints.score[:, 0, 0], score)


def test_short_tracks_and_bad_sigma():
    assert len(smooth(track(np.ones(1), np.ones(1)), sigma=5).keypoints) == 1
    with pytest.raises(PoseError, match="sigma above 0"):
        smooth(track(np.ones(3), np.ones(3)), sigma=0)
