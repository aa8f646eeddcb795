"""Scoring whole sets: exact where the answer is known, every gap named, rows complete."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_clips
from numpy.testing import assert_allclose

from idol_eval import IDOL_8, BenchConfig, Protocol, open_set, pair, score
from idol_eval.baselines import (
    HeldStill,
    best_constant,
    mean_depth,
    save_mean_depth,
    training_mean,
    training_mean_of,
)
from idol_eval.bench import Progress, Row, SampleCandidate, aggregate
from idol_eval.catalogue import FAMILIES, choose
from idol_eval.geometry import fitting
from idol_eval.readers import PreparedSet
from idol_eval.report import BRIEF, cells, markdown, remarks, to_json
from idol_eval.samples import DepthRule, EvalClip, SampleError
from idol_prep.schema import Dataset

PAIRWISE = BenchConfig(families=choose("depth,psnr,ssim,silhouette,temporal"))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("truth") / "data"
    return tiny_clips.dataset(root, {"a": "test", "b": "test", "c": "train", "d": "train"}, frames=4)


def scored(truth: Dataset, home: Path, config: BenchConfig = PAIRWISE) -> Row:
    mine, true = open_set(home), open_set(truth.root)
    pairing = pair(mine, true)
    candidate = SampleCandidate.of("mine", mine, pairing, config.protocol.frames)
    return score([candidate], true, [id for _, id in pairing.pairs], config)[0]


def test_the_truth_scores_perfectly(tmp_path: Path, truth: Dataset) -> None:
    row = scored(truth, tiny_clips.samples(tmp_path / "set", truth))
    assert row.values["depth_mse"] == pytest.approx(0, abs=1e-9)
    assert row.values["psnr"] == math.inf
    assert row.values["ssim"] == pytest.approx(1)
    assert row.values["silhouette_iou"] == 1
    assert row.values["video_change"] == 1
    assert row.values["depth_change"] == pytest.approx(1, rel=1e-3)
    assert row.counts == {"clips": 4, "frames": 16}
    assert row.left_out == ()
    assert [clip["id"] for clip in row.per_clip] == ["a", "b", "c", "d"]


def test_order_and_grouping_of_clips_do_not_matter(tmp_path: Path, truth: Dataset) -> None:
    mine, true = open_set(tiny_clips.samples(tmp_path / "set", truth, noise=9)), open_set(truth.root)
    candidate = SampleCandidate.of("mine", mine, pair(mine, true))
    one, two = (score([candidate], true, ids, PAIRWISE)[0] for ids in (["a", "b", "c", "d"], ["d", "b", "a", "c"]))
    for key, value in one.values.items():
        assert_allclose(value, two.values[key], rtol=1e-12)


def test_roots_and_ratios_are_of_means() -> None:
    clips = [
        {"id": "a", "depth_mse": 0.01, "depth_rmse": 0.1, "video_change_pred": 1.0, "video_change_true": 4.0},
        {"id": "b", "depth_mse": 0.09, "depth_rmse": 0.3, "video_change_pred": 1.0, "video_change_true": 0.0},
    ]
    found = aggregate(clips)
    assert found["depth_rmse"] == pytest.approx(0.05**0.5)
    assert found["video_change"] == pytest.approx(0.5)
    assert aggregate([{"id": "a", "depth_change_pred": 1.0, "depth_change_true": 0.0}]) == {"depth_change": None}


def test_baselines_against_closed_forms(truth: Dataset) -> None:
    reference = PreparedSet(truth.root, split="test")
    fit = fitting(None)
    depths = np.stack([tiny_clips.normalised(truth, id) for id in reference.ids]).astype(np.float64)
    training = PreparedSet(truth.root, split="train")
    average = mean_depth(training, fit)
    expected = np.mean([tiny_clips.normalised(truth, id).mean(axis=0) for id in training.ids], axis=0)
    assert_allclose(average, expected, atol=1e-6)
    candidates = [HeldStill(), best_constant(reference, reference.ids, fit), training_mean_of(average)]
    still, constant, mean = score(candidates, reference, reference.ids, PAIRWISE)
    assert constant.values["depth_mse"] == pytest.approx(depths.var(), rel=1e-5)
    assert constant.values["silhouette_iou"] == 0
    assert mean.values["depth_mse"] == pytest.approx(np.mean((depths - average) ** 2), rel=1e-5)
    assert still.values["depth_mse"] == pytest.approx(np.mean((depths - depths[:, :1]) ** 2), rel=1e-5)
    assert still.values["video_change"] == 0
    assert still.values["psnr"] is not None
    assert still.values["psnr"] < 30
    assert "psnr" not in constant.values
    assert {row.kind for row in (still, constant, mean)} == {"baseline"}


def test_still_pastes_the_person_over_the_plate(truth: Dataset) -> None:
    clip = PreparedSet(truth.root).read("a")
    assert clip.video is not None
    pasted = HeldStill().answer(replace(clip, background=np.zeros_like(clip.video[0]))).video
    assert pasted is not None
    assert clip.mask is not None
    assert (pasted[3][clip.mask[0] == 0] == 0).all()
    assert (pasted[3][clip.mask[0] > 0] == clip.video[0][clip.mask[0] > 0]).all()
    unknown = HeldStill().answer(replace(clip, background=None)).video
    assert unknown is not None
    assert (unknown[2] == clip.video[0]).all()


def test_mean_depth_files(tmp_path: Path, truth: Dataset) -> None:
    depth = np.random.default_rng(0).uniform(size=(4, 5)).astype(np.float32)
    save_mean_depth(tmp_path / "mean.npz", depth, 7, truth.content_hash, "inverse")
    kept = training_mean(tmp_path / "mean.npz")
    assert kept.polarity == "inverse"
    assert (kept.depth == depth).all()
    with pytest.raises(SampleError, match="a map of 5 x 4 for clips of 32 x 24"):
        kept.answer(PreparedSet(truth.root).read("a"))
    (tmp_path / "other.npz").write_bytes(b"no")
    with pytest.raises(SampleError, match="holds no mean depth"):
        training_mean(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        training_mean(tmp_path / "absent.npz")


@pytest.fixture(scope="module")
def long_truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("long") / "data"
    return tiny_clips.dataset(root, {"a": "test", "b": "test"}, frames=8)


def test_feature_distances(tmp_path: Path, long_truth: Dataset) -> None:
    """The truth against itself is 0; shuffled frames move FVD and leave FID; every count is in the row."""
    exact = tiny_clips.samples(tmp_path / "exact", long_truth)
    config = BenchConfig(families=choose("fvd,fid"))
    for record in long_truth.records():
        frames = long_truth.clip(record.id).frames()
        order = np.random.default_rng(1).permutation(len(frames))
        tiny_clips.sample(
            tmp_path / "shuffled" / record.id, frames[order], tiny_clips.normalised(long_truth, record.id)
        )
    true = open_set(long_truth.root)
    sets = [open_set(home) for home in (exact, tmp_path / "shuffled")]
    candidates = [SampleCandidate.of(str(mine.path), mine, pair(mine, true)) for mine in sets]
    seen: list[Progress] = []
    perfect, shuffled, still = score([*candidates, HeldStill()], true, true.ids, config, seen.append)
    assert perfect.values == pytest.approx({"fvd": 0, "fid": 0}, abs=1e-9)
    assert shuffled.values["fid"] == pytest.approx(0, abs=1e-9)
    assert shuffled.values["fvd"] is not None
    assert shuffled.values["fvd"] > 1e-3
    assert perfect.counts == {"clips": 2, "frames": 16, "fvd_n": 2, "fid_n": 16}
    assert perfect.extractors["fvd"]["weights"] == "random-seed-0"
    assert "fvd, fid: weights random-seed-0, not comparable" in " ".join(
        note.replace("fid, fvd", "fvd, fid") for note in perfect.notes
    )
    assert still.values == {}
    assert [at.done for at in seen] == [1, 2]


def test_short_clips_are_refused_by_name(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.samples(tmp_path / "set", truth)
    with pytest.raises(SampleError, match=r"clip a: 4 frames are too few for snippets of 8; .* --metrics all,-fvd"):
        scored(truth, home, BenchConfig(families=choose("fvd")))


def test_one_snippet_is_reported(tmp_path: Path) -> None:
    truth = tiny_clips.dataset(tmp_path / "data", {"a": "test"}, frames=8)
    row = scored(truth, tiny_clips.samples(tmp_path / "set", truth), BenchConfig(families=choose("fvd")))
    assert row.values == {}
    assert row.left_out == (
        "intervals: one clip alone says nothing about others",
        "fvd: needs 2 snippets or frames at least, there are 1",
    )


def test_mismatches_are_refused_by_name(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.samples(tmp_path / "set", truth)
    clip = truth.clip("b")
    for name, frames, depth, said in (
        ("short", clip.frames()[:3], tiny_clips.normalised(truth, "b")[:3], "clip b: 3 frames against 4"),
        ("small", clip.frames()[:, :, :24], tiny_clips.normalised(truth, "b")[:, :, :24], "add --size 24"),
        ("odd", clip.frames()[:, :20], tiny_clips.normalised(truth, "b")[:, :20], "32 x 20 pixels against 32 x 24"),
    ):
        tiny_clips.sample(tmp_path / name / "b", frames, depth)
        with pytest.raises(SampleError, match=said):
            scored(truth, tmp_path / name)
    depth = {"polarity": "inverse", "person": [0.0, 0.75], "background": 1.0}
    tiny_clips.sample(tmp_path / "near" / "b", clip.frames(), tiny_clips.normalised(truth, "b"), {"depth": depth})
    with pytest.raises(SampleError, match="which end is near"):
        scored(truth, tmp_path / "near")
    assert scored(truth, home, replace(PAIRWISE, protocol=IDOL_8.custom(frames=2))).counts["frames"] == 8
    with pytest.raises(SampleError, match="no clips to score"):
        score([HeldStill()], PreparedSet(truth.root), [], PAIRWISE)


def test_reference_at_the_samples_size(tmp_path: Path, truth: Dataset) -> None:
    fit = fitting(16)
    for id in ("a", "b"):
        clip = fit(PreparedSet(truth.root).read(id))
        assert clip.video is not None
        assert clip.depth is not None
        tiny_clips.sample(tmp_path / "set" / id, clip.video, clip.depth)
    row = scored(truth, tmp_path / "set", replace(PAIRWISE, protocol=IDOL_8.custom(size=16)))
    assert row.values["psnr"] == math.inf


def test_what_is_missing_is_named(truth: Dataset) -> None:
    class Blind:
        name, kind, compares_features = "blind", "measured", False

        def answer(self, truth: EvalClip) -> EvalClip:
            return EvalClip(id=truth.id, video=truth.video, rule=DepthRule())

    row = score([Blind()], PreparedSet(truth.root), ("a", "b"), PAIRWISE)[0]  # type: ignore[list-item]
    assert row.left_out == (
        "depth: no depth in the samples (all clips)",
        "silhouette: no depth in the samples (all clips)",
    )
    assert row.values["psnr"] == math.inf


def test_an_empty_mask_is_named(tmp_path: Path) -> None:
    truth = tiny_clips.dataset(tmp_path / "data", {"a": "test", "b": "test"}, frames=2)
    home = tiny_clips.pictures(tmp_path / "reference", truth)
    for file in (home / "b" / "mask").iterdir():
        file.write_bytes(b"")
        from PIL import Image

        Image.new("L", (tiny_clips.WIDTH, tiny_clips.HEIGHT)).save(file)
    mine, true = open_set(tiny_clips.samples(tmp_path / "set", truth)), open_set(home)
    row = score([SampleCandidate.of("mine", mine, pair(mine, true))], true, true.ids, PAIRWISE)[0]
    assert row.left_out == ("depth on the person: its mask is empty (b)", "silhouette: its mask is empty (b)")
    assert "silhouette_iou" not in row.per_clip[1]
    assert row.values["depth_fg_mse"] == pytest.approx(0, abs=1e-8)


def test_a_lossy_reference_is_named(tmp_path: Path, truth: Dataset) -> None:
    mine = open_set(tiny_clips.samples(tmp_path / "set", truth))
    true = open_set(tiny_clips.videos(tmp_path / "films", truth, ".mp4"))
    rows = score([SampleCandidate.of("mine", mine, pair(mine, true)), HeldStill()], true, true.ids, PAIRWISE)
    assert rows[0].notes == (f"{true.path}: lossy pictures or videos, which moves every score of frames",)
    assert not rows[0].lossy
    assert not rows[1].notes


def test_weights_that_nothing_would_use_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.pt"
    with pytest.raises(ValueError, match=r"weights fvd=.*file\.pt: no chosen metric of protocol idol-8 uses them"):
        BenchConfig(families=("psnr", "kid"), weights={"fvd": file})
    with pytest.raises(ValueError, match=r"weights lpips-vgg=.*: no chosen metric"):
        BenchConfig(families=("psnr",), weights={"lpips-vgg": file})
    with pytest.raises(ValueError, match="LPIPS takes one backbone"):
        BenchConfig(weights={"lpips-alex": file, "lpips-vgg": file})
    assert BenchConfig(families=("kid", "lpips"), weights={"fid": file, "lpips-alex": file}).feature_families == (
        "fid",
    )


def test_choosing_metrics() -> None:
    assert choose("all") == FAMILIES
    assert choose("psnr, depth") == ("depth", "psnr")
    assert "fid" not in choose("all,-fid")
    assert choose("-fid-fvd") == tuple(family for family in FAMILIES if family != "fid_fvd")
    for text, said in (("vmaf", "unknown metric 'vmaf'"), ("psnr,-psnr", "no metric chosen"), ("", "no metric")):
        with pytest.raises(ValueError, match=said):
            choose(text)


def test_protocol() -> None:
    assert IDOL_8.starts(8) == [0]
    assert IDOL_8.starts(20) == list(range(13))
    assert IDOL_8.custom(stride=8).starts(20) == [0, 8]
    assert IDOL_8.starts(7) == []
    assert IDOL_8.custom(size=64).id == "idol-8"
    assert IDOL_8.custom(stride=8).id == "custom-stride-8"
    assert IDOL_8.custom(container="gif-3fps", snippet=16).id == "custom-container-gif-3fps-snippet-16"
    for bad in ({"snippet": 1}, {"stride": 0}, {"size": 8}, {"frames": 0}):
        with pytest.raises(ValueError, match="protocol"):
            Protocol(**bad)


def test_report(tmp_path: Path, truth: Dataset) -> None:
    row = scored(truth, tiny_clips.samples(tmp_path / "set", truth))
    headings, lines = cells([row], BRIEF)
    assert headings[0] == "row"
    assert headings[-1] == "weights"
    assert "PSNR↑" in headings
    assert lines[0][headings.index("PSNR↑")] == "inf"
    assert lines[0][headings.index("depth L2↓")] == "0.0000"
    data = to_json([row], IDOL_8, {"kind": "test"})
    assert json.loads(json.dumps(data, allow_nan=False))["rows"][0]["values"]["psnr"] == "inf"
    assert data["rows"][0]["protocol"]["id"] == "idol-8"
    assert {"torch", "numpy", "python"} <= data["versions"].keys()
    page = markdown([replace(row, notes=("look here",))], IDOL_8)
    assert page.startswith("| row |")
    assert "Protocol idol-8: snippets of 8 frames" in page
    assert "- look here [mine]" in page
    assert remarks([replace(row, notes=("x",)), replace(row, name="other", notes=("x",))]) == ["x [mine, other]"]
