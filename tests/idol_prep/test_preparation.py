import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from raw_material import (
    dancer,
    without_mediapipe,
    write_broken_video,
    write_dancer_video,
    write_empty_video,
    write_sequence,
)

from idol_prep import reading
from idol_prep.pipeline import PrepOptions, prepare, shard_of
from idol_prep.planning import make_plan
from idol_prep.schema import DataError, Dataset
from idol_prep.sources.folder import FolderSource
from idol_prep.sources.tiktok import TikTokSource

needs_mediapipe = pytest.mark.skipif(without_mediapipe(), reason="needs the extra prep")
SMALL = PrepOptions(size=64)
REAL = os.environ.get("IDOL_REAL_MEDIA")


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


# the whole way


@needs_mediapipe
def test_a_video_becomes_a_clip_with_all_its_frames(tmp_path):
    source = FolderSource.open(write_dancer_video(tmp_path / "raw" / "dancer.mp4", seed=2))
    heard = []
    summary = prepare(source, tmp_path / "out", SMALL, heard.append)
    assert (summary.clips, summary.frames, summary.found_frames, summary.rejected) == (1, 12, 12, {})
    assert heard[-1].frames_done == 12
    dataset = Dataset.open(tmp_path / "out")
    (record,) = dataset.records()
    assert (record.id, record.split, record.frames, record.fps) == ("dancer", "train", 12, 12.0)
    assert (record.height, record.width) == (64, 64)
    assert record.approximate == ("depth",)
    assert dataset.info["approximate"] == ["depth"]
    assert record.annotators["depth"]["approximate"]
    assert record.annotators["keypoints"]["weights"]
    assert record.scores["depth_cover"] == 1
    clip = dataset.clip("dancer")
    assert clip.frames().shape == (12, 64, 64, 3)
    assert set(np.unique(clip.mask())) == {0, 1}
    np.testing.assert_array_equal(np.isfinite(clip.depth()), clip.mask() > 0)
    joints = clip.keypoints().xy[clip.keypoints().score > 0.5]
    assert ((joints > 0) & (joints < 64)).mean() > 0.95


@needs_mediapipe
def test_tracks_stay_aligned_through_the_crop(tmp_path):
    source = FolderSource.open(write_dancer_video(tmp_path / "dancer.mp4", seed=2))
    prepare(source, tmp_path / "whole", PrepOptions(size=128, crop="none"))
    clip = Dataset.open(tmp_path / "whole").clip("dancer")
    exact = dancer(2)
    assert iou(clip.mask() > 0, exact.mask > 0) > 0.93
    assert np.abs(clip.frames().astype(int) - exact.frames).mean() < 6


@needs_mediapipe
@pytest.mark.parametrize("suffix", [".png", None])
def test_tiktok_uses_what_the_dataset_ships(tmp_path, suffix):
    write_sequence(tmp_path / "raw" / "00335", seed=2, depth=suffix)
    source = TikTokSource.open(tmp_path / "raw")
    options = PrepOptions(size=128, crop="none", mask="dataset", depth="dataset" if suffix else "landmarks")
    prepare(source, tmp_path / "out", options)
    dataset = Dataset.open(tmp_path / "out")
    (record,) = dataset.records("test")
    assert record.annotators["mask"]["name"] == "dataset"
    clip, exact = dataset.clip("00335"), dancer(2)
    np.testing.assert_array_equal(clip.mask() > 0, exact.mask > 0)
    np.testing.assert_array_equal(clip.frames(), exact.frames)
    if suffix:
        assert record.approximate == ()
        assert record.depth.polarity == "distance"
        both = np.isfinite(clip.depth()) & np.isfinite(exact.depth)
        assert both.sum() > 0.95 * np.isfinite(exact.depth).sum()
        np.testing.assert_allclose(clip.depth()[both], exact.depth[both] * 1000, atol=1)


@needs_mediapipe
def test_run_again_goes_on_where_it_stopped(tmp_path):
    write_dancer_video(tmp_path / "raw" / "a.mp4")
    prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", SMALL)
    before = (tmp_path / "out" / "clips" / "a" / "clip.json").stat().st_mtime_ns
    write_dancer_video(tmp_path / "raw" / "b.mp4", seed=3)
    summary = prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", SMALL)
    assert (summary.kept_before, summary.clips) == (1, 1)
    assert (tmp_path / "out" / "clips" / "a" / "clip.json").stat().st_mtime_ns == before
    assert len(Dataset.open(tmp_path / "out").records()) == 2


@needs_mediapipe
def test_the_same_input_gives_the_same_bytes(tmp_path):
    source = FolderSource.open(write_dancer_video(tmp_path / "a.mp4"))
    hashes = []
    for name in ("one", "two"):
        prepare(source, tmp_path / name, SMALL)
        hashes.append(Dataset.open(tmp_path / name).content_hash)
    assert hashes[0] == hashes[1]


@needs_mediapipe
def test_other_settings_do_not_mix_into_a_dataset(tmp_path):
    source = FolderSource.open(write_dancer_video(tmp_path / "a.mp4"))
    prepare(source, tmp_path / "out", SMALL)
    with pytest.raises(DataError, match="size=64, not 128"):
        prepare(source, tmp_path / "out", replace(SMALL, size=128))


@needs_mediapipe
def test_bad_clips_become_rejects_with_reasons_and_stay_so(tmp_path):
    raw = tmp_path / "raw"
    write_dancer_video(raw / "good.mp4")
    write_dancer_video(raw / "short.mp4", frames=3)
    write_empty_video(raw / "nobody.mp4")
    (raw / "text.mp4").write_text("no video")
    summary = prepare(FolderSource.open(raw), tmp_path / "out", SMALL)
    assert summary.clips == 1
    assert summary.reasons() == {"no person": 1, "too short": 1, "unreadable": 1}
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert {line["id"]: line["stage"] for line in lines} == {"short": "quality", "nobody": "quality", "text": "decode"}
    again = prepare(FolderSource.open(raw), tmp_path / "out", SMALL)
    assert (again.kept_before, again.rejected_before, again.frames) == (1, 3, 0)
    retried = prepare(FolderSource.open(raw), tmp_path / "out", replace(SMALL, retry="all"))
    assert len(retried.rejected) == 3


@needs_mediapipe
def test_the_good_frames_of_a_broken_video_are_kept_and_it_is_said(tmp_path):
    write_broken_video(tmp_path / "raw" / "broken.mkv")
    summary = prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", SMALL)
    (record,) = Dataset.open(tmp_path / "out").records()
    assert 8 <= record.frames < 40
    assert summary.clips == 1
    assert summary.rejected["broken-rest"].startswith(f"truncated: {record.frames} good frames are kept")


@needs_mediapipe
def test_too_little_of_a_broken_video_is_rejected(tmp_path):
    write_broken_video(tmp_path / "raw" / "broken.mkv", keep=0.15)
    with pytest.raises(DataError, match="nothing was prepared; broken: truncated: only"):
        prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", SMALL)


@needs_mediapipe
def test_long_videos_become_several_clips(tmp_path):
    source = FolderSource.open(write_dancer_video(tmp_path / "long.mp4", frames=24))
    options = replace(SMALL, clip_frames=10)
    summary = prepare(source, tmp_path / "out", options)
    records = {record.id: record for record in Dataset.open(tmp_path / "out").records()}
    assert {name: (r.start_frame, r.frames) for name, r in records.items()} == {"long": (0, 10), "long-part2": (10, 10)}
    assert summary.rejected == {"long-part3": "too short: 4 frames, at least 8"}
    shutil.rmtree(tmp_path / "out" / "clips" / "long-part2")
    again = prepare(source, tmp_path / "out", options)
    assert (again.kept_before, again.clips, again.rejected_before) == (1, 1, 1)


@needs_mediapipe
def test_frames_that_do_not_fit_in_memory_are_read_twice(tmp_path, monkeypatch):
    source = FolderSource.open(write_dancer_video(tmp_path / "a.mp4", frames=20))
    prepare(source, tmp_path / "kept", SMALL)
    monkeypatch.setattr(reading, "REPLAY_BYTES", 5 * 128 * 128 * 3)
    prepare(source, tmp_path / "again", SMALL)
    assert Dataset.open(tmp_path / "kept").content_hash == Dataset.open(tmp_path / "again").content_hash


@needs_mediapipe
def test_shards_are_the_whole_together(tmp_path):
    for name in "abc":
        write_dancer_video(tmp_path / "raw" / f"{name}.mp4")
    source = FolderSource.open(tmp_path / "raw")
    assert [clip.id for clip in shard_of(source, (1, 2))] == ["a", "c"]
    for number in (1, 2):
        prepare(source, tmp_path / "out", replace(SMALL, shard=(number, 2)))
    assert [record.id for record in Dataset.open(tmp_path / "out").records()] == ["a", "b", "c"]


@needs_mediapipe
def test_interrupted_work_leaves_finished_clips_and_no_halves(tmp_path):
    for name in "abc":
        write_dancer_video(tmp_path / "raw" / f"{name}.mp4")
    source, out = FolderSource.open(tmp_path / "raw"), tmp_path / "out"

    def stop_at_the_third(progress):
        if progress.clip == "c":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, SMALL, stop_at_the_third)
    done = [record.id for record in Dataset.open(out).records()]
    assert done == ["a", "b"]
    assert sorted(path.name for path in (out / "clips").iterdir()) == done
    assert prepare(source, out, SMALL).clips == 1


@needs_mediapipe
def test_another_video_of_the_same_name_is_not_taken_for_finished(tmp_path):
    prepare(FolderSource.open(write_dancer_video(tmp_path / "one" / "a.mp4")), tmp_path / "out", SMALL)
    other = FolderSource.open(write_dancer_video(tmp_path / "two" / "a.mp4", seed=3))
    with pytest.raises(DataError, match=r"name taken: a was made from a\.mp4"):
        prepare(other, tmp_path / "out", SMALL)


@needs_mediapipe
def test_plan_counts_without_writing(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_dancer_video(raw / "a.mp4")
    write_dancer_video(raw / "b.mp4", frames=20)
    (raw / "c.mp4").write_text("no video")
    outlook = make_plan(FolderSource.open(raw), out, SMALL)
    assert (outlook.clips, outlook.finished, outlook.frames) == (3, 0, 32)
    assert list(outlook.unreadable) == ["c"]
    assert (outlook.seconds or 0) > 0
    assert outlook.bytes > 0
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"size": 250}, "size 250 is not usable"),
        ({"crop": "tight"}, "unknown crop 'tight'; choose one of person, center, none"),
        ({"shard": (0, 4)}, "no shard 0/4"),
        ({"clip_frames": 2}, "clips of 2 frames are too short"),
        ({"size": 2048}, "clips of 1024 frames at size 2048 are held in memory; at most 128"),
        ({"depth_polarity": "near"}, "unknown depth polarity 'near'"),
    ],
)
def test_impossible_options(change, complaint):
    with pytest.raises(DataError, match=complaint):
        PrepOptions(**change)


# real media


@pytest.mark.real
@needs_mediapipe
@pytest.mark.skipif(not REAL, reason="IDOL_REAL_MEDIA names no folder")
def test_juggling_has_a_pose_in_every_frame_and_the_mask_on_the_man(tmp_path):
    summary = prepare(FolderSource.open(Path(str(REAL)) / "juggling.mp4"), tmp_path / "out", PrepOptions())
    assert (summary.clips, summary.frames, summary.found_frames) == (1, 247, 247)
    clip = Dataset.open(tmp_path / "out").clip("juggling")
    mask, joints = clip.mask() > 0, clip.keypoints()
    assert ((joints.score[:, 0] > 0.3).sum(axis=1) >= 9).all()
    assert 0.08 < mask.mean() < 0.25
    corners = np.concatenate([mask[:, 200:, :60].ravel(), mask[:, 200:, 200:].ravel(), mask[:, :60, :40].ravel()])
    assert corners.mean() < 0.01
    seen = joints.score[:, 0, 1:14] > 0.6
    at = np.clip(joints.xy[:, 0, 1:14].astype(int), 0, 255)
    on_mask = mask[np.arange(247)[:, None], at[..., 1], at[..., 0]]
    assert on_mask[seen].mean() > 0.9
