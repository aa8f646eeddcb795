"""Our assembly against controlnet-aux's own on the same maps, and its network with random weights."""

import numpy as np
import pytest
import torch
from openpose_maps import crowd, maps_of, reference

from idol_prep import annotators
from idol_prep.annotators import openpose
from idol_prep.annotators.protocol import Batch
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DataError

pytestmark = pytest.mark.skipif(bool(openpose.missing()), reason="needs the extra openpose")


@pytest.mark.parametrize(
    ("count", "size"), [(1, (512, 512)), (3, (512, 512)), (2, (360, 640)), (1, (256, 256)), (1, (640, 360))]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_keypoints_are_those_of_controlnet_aux_within_a_pixel(count, size, seed):
    heat, fields = maps_of(crowd(count, size, seed), size, seed)
    ours, theirs = openpose.people_in(heat, fields, size), reference(heat, fields, size)
    assert len(ours) == len(theirs) == count
    for (our_xy, our_score), (xy, score) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(our_score > 0, score > 0)
        assert np.abs(our_xy - xy).max() <= 1
        np.testing.assert_allclose(our_score, score, atol=1e-3)


def test_overlapping_people_are_assembled_alike():
    size, agreed, joints = (512, 512), 0, 0
    for seed in range(4):
        people = crowd(2, size, seed)
        people[1] += np.array([-150.0 + 20 * seed, 10])
        heat, fields = maps_of(people, size, seed)
        ours, theirs = openpose.people_in(heat, fields, size), reference(heat, fields, size)
        assert len(ours) == len(theirs)
        for (our_xy, _), (xy, _) in zip(ours, theirs, strict=True):
            agreed += int((np.abs(our_xy - xy).max(axis=1) <= 1).sum())
            joints += len(xy)
    assert agreed == joints


def test_maps_without_people_give_nobody():
    heat, fields = maps_of([], (360, 640))
    assert openpose.people_in(heat, fields, (360, 640)) == []


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file like the published one, with random numbers."""
    torch.manual_seed(0)
    network = openpose._model_class()()
    file = tmp_path_factory.mktemp("openpose") / "body_pose_model.pth"
    torch.save({name.partition(".")[2]: value for name, value in network.state_dict().items()}, file)
    return file


def test_the_network_runs_on_batches(weights):
    frames = np.random.default_rng(0).integers(0, 255, (2, 96, 80, 3), np.uint8)
    made, _ = annotators.create_pair("openpose", "dataset", annotators.Setting(weights=Weights({"openpose": weights})))
    both = made._maps(frames)
    one = made._maps(frames[1:])
    assert both[0].shape == (2, 38, 23, 20)
    np.testing.assert_allclose(both[1][1], one[1][0], atol=1e-5)
    assert made.pose(Batch(frames=frames)).keypoints.xy.shape[2:] == (18, 2)
    info = annotators.describe("pose", "openpose", Weights({"openpose": weights}))
    assert set(info.weights) == {"body_pose_model.pth"}
    assert not info.commercial


def test_other_weights_are_refused(tmp_path):
    torch.save({"conv1_1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other\.pth: is no OpenPose body model"):
        openpose.load_network(tmp_path / "other.pth")


def test_weights_that_are_not_here_say_how_to_get_them(monkeypatch):
    monkeypatch.setattr(Weights, "find", lambda self, name: None)
    with pytest.raises(DataError, match="idol prep annotators --fetch openpose"):
        annotators.create_pair("openpose", "dataset")
