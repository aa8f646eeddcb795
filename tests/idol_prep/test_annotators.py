import subprocess
import sys

import numpy as np
import pytest
from raw_material import dancer, without_mediapipe

from idol_prep import annotators
from idol_prep.annotators import mediapipe_pose
from idol_prep.annotators.landmarks import LandmarksDepth, depth_from_relief
from idol_prep.annotators.mediapipe_pose import MediapipeMissingError, PersonEngine, openpose_from_blaze
from idol_prep.annotators.protocol import Batch, DepthAnnotator, MaskAnnotator, PoseAnnotator, Relief
from idol_prep.schema import DataError

needs_mediapipe = pytest.mark.skipif(without_mediapipe(), reason="needs the extra prep")


@pytest.fixture(scope="module")
def pair():
    return annotators.create_pair("mediapipe", "mediapipe")


def test_registry_imports_no_network():
    code = (
        "import sys; from idol_prep import annotators; rows = annotators.readiness();"
        "assert rows; assert not {'mediapipe', 'cv2', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_annotator_says_who_made_it():
    for row in annotators.readiness():
        assert row.info.name in annotators.names(row.info.kind)
        assert row.info.licence
        assert row.info.version or not row.ready
        assert row.info.to_dict()["kind"] == row.info.kind
    assert [row.info.name for row in annotators.readiness() if row.info.approximate] == ["landmarks"]


def test_unknown_annotator_is_named_with_the_known_ones():
    with pytest.raises(DataError, match="no depth annotator is named 'lidar'; choose from dataset, hdnet, midas"):
        annotators.create_depth("lidar")


@needs_mediapipe
def test_weights_are_recorded_by_hash():
    weights = mediapipe_pose.describe().weights
    assert set(weights) == {"pose_detection.tflite", "pose_landmark_full.tflite"}
    assert all(len(digest) == 64 for digest in weights.values())


def test_missing_mediapipe_names_the_extra(monkeypatch):
    monkeypatch.setattr(mediapipe_pose, "version", lambda: "")
    with pytest.raises(MediapipeMissingError, match=r'pip install "idol-video-depth\[prep\]"'):
        annotators.create_pair("mediapipe", "mediapipe")


@needs_mediapipe
def test_annotators_keep_the_protocol(pair):
    pose, mask = pair
    assert isinstance(pose, PoseAnnotator)
    assert isinstance(mask, MaskAnnotator)
    assert isinstance(annotators.create_depth("landmarks"), DepthAnnotator)
    assert isinstance(annotators.create_depth("dataset"), DepthAnnotator)


@needs_mediapipe
def test_pose_and_mask_agree_with_the_exact_dancer(pair):
    clip = dancer(2, side=256)
    pose, mask = pair
    pose.reset()
    batch = Batch(frames=clip.frames)
    track, found = pose.pose(batch), mask.mask(batch)
    body = slice(1, 14)  # eyes and ears of a dancer are painted on
    both = (track.keypoints.score > 0.5)[:, 0, body] & (clip.keypoints.score > 0)[:, 0, body]
    error = np.linalg.norm(track.keypoints.xy - clip.keypoints.xy, axis=-1)[:, 0, body][both]
    assert both.mean() > 0.8
    assert np.median(error) < 6
    person, exact = found > 127, clip.mask > 0
    assert (person & exact).sum() / (person | exact).sum() > 0.95


@needs_mediapipe
def test_one_pass_serves_pose_and_mask(pair):
    pose, mask = pair
    pose.reset()
    batch = Batch(frames=dancer().frames[:2].copy())
    first = pose.pose(batch)
    mask.mask(batch)
    assert pose.pose(batch) is first


@needs_mediapipe
def test_reset_makes_a_clip_repeatable(pair):
    pose, _ = pair
    frames = dancer().frames[:4]

    def run() -> np.ndarray:
        pose.reset()
        return pose.pose(Batch(frames=frames.copy())).keypoints.xy

    first = run()
    pose.pose(Batch(frames=dancer(3).frames[:4]))
    np.testing.assert_array_equal(run(), first)


@needs_mediapipe
def test_frames_without_a_person_are_gaps(pair):
    pose, mask = pair
    pose.reset()
    batch = Batch(frames=np.full((2, 96, 96, 3), 120, np.uint8))
    track = pose.pose(batch)
    assert not track.keypoints.score.any()
    assert (track.keypoints.xy == -1).all()
    assert np.isnan(track.relief.z).all()
    assert not mask.mask(batch).any()


@needs_mediapipe
def test_no_chatter_on_stderr():
    code = (
        "import numpy as np; from idol_prep.annotators.mediapipe_pose import PersonEngine;"
        "e = PersonEngine(segmentation=True); f = np.zeros((2, 64, 64, 3), np.uint8);"
        "e.run(f); e.reset(); e.run(f.copy())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_openpose_order_and_neck():
    points = np.zeros((33, 3), np.float32)
    points[:, 0] = np.arange(33)
    points[:, 2] = 1
    points[12, 2] = 0.25
    joints = openpose_from_blaze(points)
    assert joints[:, 0].tolist() == [0, 11.5, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7]
    assert joints[1, 2] == 0.25


def standing(z: dict[int, float]) -> Relief:
    """A plain standing figure, 33 landmarks in 100 x 100 pixels, at depth 0 but for ``z``."""
    at = {0: (50, 15), 7: (54, 15), 8: (46, 15), 11: (60, 30), 12: (40, 30), 13: (70, 45), 14: (30, 45)}
    at |= {15: (80, 60), 16: (20, 60), 19: (82, 63), 20: (18, 63), 23: (56, 60), 24: (44, 60)}
    at |= {25: (57, 75), 26: (43, 75), 27: (58, 90), 28: (42, 90), 31: (60, 93), 32: (40, 93)}
    xy = np.array([at.get(joint, (50, 16)) for joint in range(33)], np.float32)
    depth = np.array([z.get(joint, 0.0) for joint in range(33)], np.float32)
    return Relief(xy=xy[None], z=depth[None])


def test_landmarks_depth_of_a_flat_body_is_flat():
    depth = depth_from_relief(standing({}), (100, 100))
    assert depth.shape == (1, 100, 100)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, 0, atol=1e-6)


def test_landmarks_depth_follows_the_limb_that_reaches_forward():
    depth = depth_from_relief(standing({15: -0.6, 19: -0.65}), (100, 100))[0]
    assert depth[60, 80] == pytest.approx(-0.6, abs=0.06)
    assert depth[45, 70] == pytest.approx(0, abs=0.12)
    assert depth[60, 20] == pytest.approx(0, abs=0.05)
    assert np.abs(np.diff(depth, axis=0)).max() < 0.12


def test_landmarks_depth_is_the_same_at_any_size():
    relief = standing({15: -0.6})
    plain = depth_from_relief(relief, (100, 100))
    large = depth_from_relief(Relief(xy=relief.xy * 4, z=relief.z), (400, 400))
    np.testing.assert_allclose(large.reshape(1, 100, 4, 100, 4).mean(axis=(2, 4)), plain, atol=0.04)


def test_landmarks_depth_covers_the_mask_only():
    mask = np.zeros((1, 100, 100), np.uint8)
    mask[:, 30:60, 40:60] = 1
    relief = standing({})
    track = mediapipe_pose.PoseTrack(keypoints=dancer().keypoints.window(0, 1), relief=relief)
    batch = Batch(frames=np.zeros((1, 100, 100, 3), np.uint8), pose=track, mask=mask)
    np.testing.assert_array_equal(np.isfinite(LandmarksDepth().depth(batch)), mask > 0)


@needs_mediapipe
def test_landmarks_depth_orders_the_body_as_the_exact_depth_does(pair):
    pose, _ = pair
    agreements = []
    for seed in (0, 2, 5):
        clip = dancer(seed, side=256)
        pose.reset()
        batch = Batch(frames=clip.frames, pose=pose.pose(Batch(frames=clip.frames)), mask=clip.mask)
        ours = LandmarksDepth().depth(batch)
        both = np.isfinite(ours) & np.isfinite(clip.depth)
        agreements.append(np.corrcoef(ours[both], clip.depth[both])[0, 1])
    assert np.mean(agreements) > 0.3


def test_landmarks_depth_needs_joints_in_space():
    batch = Batch(frames=np.zeros((1, 8, 8, 3), np.uint8), mask=np.ones((1, 8, 8), np.uint8))
    with pytest.raises(DataError, match="needs 3D joints and a mask"):
        LandmarksDepth().depth(batch)


def test_shipped_tracks_pass_through_unchanged():
    depth = np.random.default_rng(0).random((2, 8, 8), np.float32)
    batch = Batch(frames=np.zeros((2, 8, 8, 3), np.uint8), shipped={"depth": depth})
    annotator = annotators.create_depth("dataset", annotators.Setting(polarity="inverse"))
    assert annotator.polarity == "inverse"
    np.testing.assert_array_equal(annotator.depth(batch), depth)


def test_shipped_track_that_is_not_there():
    with pytest.raises(DataError, match="ships no depth; choose another annotator with --depth"):
        annotators.create_depth("dataset").depth(Batch(frames=np.zeros((1, 8, 8, 3), np.uint8)))


@needs_mediapipe
def test_engine_runs_odd_sizes():
    track, mask = PersonEngine(segmentation=True).run(np.zeros((1, 61, 47, 3), np.uint8))
    assert mask.shape == (1, 61, 47)
    assert track.keypoints.xy.shape == (1, 1, 18, 2)
