"""Synthetic dancers: determinism, exactness of their tracks, separate streams."""

from pathlib import Path

import numpy as np
import pytest

from idol_prep.schema import DataError, Dataset
from idol_prep.sources import synthetic
from idol_prep.sources.synthetic import HELD_OUT_SEED, SyntheticClip, generate, make_clip

SMALL = {"size": (64, 64), "frames": 3}
EARS = (16, 17)


@pytest.fixture(scope="module")
def clips() -> list[SyntheticClip]:
    return [make_clip([5, 0, number], frames=8) for number in range(6)]


def hashes(dataset: Dataset) -> dict[str, str]:
    return {record.id: record.sha256 for record in dataset.records()}


def test_a_larger_set_begins_with_the_smaller(tmp_path: Path):
    few = hashes(generate(tmp_path / "few", 2, 7, **SMALL))
    many = hashes(generate(tmp_path / "many", 4, 7, **SMALL))
    assert few.items() < many.items()
    assert len(set(many.values())) == 4


def test_it_continues_where_it_stopped(tmp_path: Path):
    generate(tmp_path / "data", 2, 7, **SMALL)
    said = []
    grown = generate(tmp_path / "data", 4, 7, **SMALL, progress=said.append)
    assert [(step.done, step.total, step.skipped) for step in said] == [(1, 4, 1), (2, 4, 2), (3, 4, 2), (4, 4, 2)]
    assert hashes(grown) == hashes(generate(tmp_path / "at_once", 4, 7, **SMALL))


def test_mask_is_where_depth_is(clips: list[SyntheticClip]):
    for clip in clips:
        np.testing.assert_array_equal(np.isfinite(clip.depth), clip.mask > 0)
        assert set(np.unique(clip.mask)) == {0, 1}
        assert 1 < np.nanmin(clip.depth) < np.nanmax(clip.depth) < 6


def test_outside_the_dancer_there_is_the_clean_plate(clips: list[SyntheticClip]):
    for clip in clips:
        outside = clip.mask == 0
        same = (clip.frames == clip.background).all(axis=-1)
        assert same[outside].mean() > 0.95, "only the softened edge may differ"
        assert same[~outside].mean() < 0.05


def test_keypoints_lie_on_the_dancer(clips: list[SyntheticClip]):
    for clip in clips:
        seen = clip.keypoints.score[:, 0] > 0
        frame, joint = np.nonzero(seen)
        x, y = np.floor(clip.keypoints.xy[:, 0][seen]).astype(int).T
        on_body = clip.mask[frame, y, x] > 0
        assert on_body[~np.isin(joint, EARS)].all()
        assert on_body.mean() > 0.97
        assert seen[:, :14].sum() >= seen.shape[0] * 13, "only the face may be hidden"


def test_the_dancer_stays_inside_and_fills_the_picture(clips: list[SyntheticClip]):
    for clip in clips:
        assert not clip.mask[:, [0, -1]].any()
        assert not clip.mask[:, :, [0, -1]].any()
        assert 0.5 < clip.mask.any(axis=2).sum(axis=1).mean() / 128 < 0.95


def test_the_dancer_faces_the_camera_and_dances(clips: list[SyntheticClip]):
    right, left = 2, 5
    for clip in clips:
        x = clip.keypoints.xy[:, 0, :, 0]
        assert (x[:, right] < x[:, left]).all(), "the person's right is left in the picture"
    moves = [np.abs(np.diff(clip.keypoints.xy[:, 0, :14], axis=0)).mean() for clip in clips]
    assert np.mean(moves) > 0.5


def test_splits_share_no_stream():
    train, val, test = (make_clip([3, stream, 0], **SMALL) for stream in range(3))
    for one, other in ((train, val), (train, test), (val, test)):
        assert not np.array_equal(one.background, other.background)
        assert not np.array_equal(one.keypoints.xy, other.keypoints.xy)


def test_every_twentieth_clip_is_for_validation(tmp_path: Path):
    dataset = generate(tmp_path / "data", 21, 0, size=(32, 32), frames=1)
    assert [record.id for record in dataset.records("val")] == ["dancer-0-00019"]
    assert len(dataset.records("train")) == 20
    assert dataset.records("test") == []


def test_the_held_out_set_is_fixed(tmp_path: Path):
    dataset = synthetic.held_out(tmp_path / "test")
    records = dataset.records("test")
    assert [record.id for record in records] == [f"dancer-{HELD_OUT_SEED}-{number:05d}" for number in range(16)]
    assert dataset.records() == records
    expected = make_clip([HELD_OUT_SEED, 2, 15])
    np.testing.assert_array_equal(dataset.clip(records[15].id).frames(), expected.frames)
    for record in records:
        assert record.depth is not None
        assert (record.depth.polarity, record.depth.scope, record.approximate) == ("distance", "person", ())


@pytest.mark.parametrize("change", [{"clips": 0}, {"seed": -1}, {"frames": 0}, {"size": (16, 64)}, {"size": (64, 65)}])
def test_bad_values_are_refused_before_anything_is_written(tmp_path: Path, change: dict):
    with pytest.raises(DataError):
        generate(tmp_path / "data", **({"clips": 1, "seed": 0} | SMALL | change))
    assert not (tmp_path / "data").exists()


def test_dancers_of_another_seed_are_not_mixed_in(tmp_path: Path):
    generate(tmp_path / "data", 1, 0, **SMALL)
    with pytest.raises(DataError, match="seed=0, not 1"):
        generate(tmp_path / "data", 1, 1, **SMALL)
