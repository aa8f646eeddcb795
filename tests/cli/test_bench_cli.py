"""``idol bench`` as a user types it: a tiny checkpoint on tiny dancers, and folders against folders."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_clips
import tiny_generation
import torch
from click.testing import Result
from numpy.testing import assert_allclose, assert_array_equal
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from cli.bench.ceiling import CodecCeiling
from cli.bench.costs import step_flops
from cli.main import build_app
from idol_eval.baselines import mean_depth, save_mean_depth
from idol_eval.geometry import centre_square, fitting
from idol_eval.readers import PreparedSet
from idol_eval.samples import EvalClip
from idol_model.data import clip_inputs
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic

LIGHT = ["--metrics", "depth,psnr,silhouette,temporal", "--device", "cpu"]


def idol(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["bench", *map(str, arguments)])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tiny_generation.shared().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dancers(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Wider than high, so that the model sees a centred square."""
    root = tmp_path_factory.mktemp("dancers") / "data"
    return synthetic.generate(root, 2, 5, size=(32, 40), frames=4, split="test")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("training") / "data"
    return synthetic.generate(root, 2, 5, size=(32, 40), frames=2)


def test_a_checkpoint(tmp_path: Path, checkpoint: Path, dancers: Dataset, training: Dataset) -> None:
    out = tmp_path / "out"
    wanted = [*LIGHT, "--ckpt", checkpoint, "--data", dancers.root, "--train-data", training.root, "-o", out]
    done = idol(*wanted, "--steps", "2", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    rows = {row["name"]: row for row in result["rows"]}
    assert [row["kind"] for row in rows.values()] == [
        "measured",
        "ceiling",
        "ceiling",
        *["baseline"] * 3,
        "paper",
        "paper",
    ]
    assert rows["debug"]["counts"] == {"clips": 2, "frames": 8}
    assert {"depth_mse", "depth_fg_mse", "psnr", "silhouette_iou", "video_change"} <= rows["debug"]["values"].keys()
    assert rows["first frame held still"]["values"]["video_change"] == 0
    assert "training-mean depth" in rows
    assert result["protocol"]["size"] == tiny_generation.SIZE
    assert result["reference"]["content"] == dancers.content_hash
    assert result["generation"]["steps"] == 2
    assert result["generation"]["background"] == "plate"
    assert result["complexity"]["parameters"]["unet"] > 0
    assert result["complexity"]["flops_per_step"] > 0
    assert result["complexity"]["seconds"] > 0
    assert result["complexity"]["spread"] >= 0
    assert json.loads((out / "scores.json").read_text()) == result
    assert "| debug |" in (out / "scores.md").read_text()


def test_running_again_generates_nothing_and_scores_the_same(
    tmp_path: Path, checkpoint: Path, dancers: Dataset
) -> None:
    out = tmp_path / "out"
    wanted = [*LIGHT, "--ckpt", checkpoint, "--data", dancers.root, "-o", out, "--no-complexity", "--steps", "1"]
    assert idol(*wanted, "--limit", "1").exit_code == 0
    (home,) = out.glob("samples-*")
    (first,) = (folder for folder in home.iterdir() if folder.is_dir())
    stamp = (first / "sample.json").stat().st_mtime_ns
    second = idol(*wanted)
    assert "1 of 2 there already" in second.stderr
    third = idol(*wanted, "--json")
    assert (first / "sample.json").stat().st_mtime_ns == stamp
    assert len(list(home.iterdir())) == 2
    values = json.loads(third.stdout)["rows"][0]["values"]
    folders = idol(*LIGHT, "--samples", home, "--reference", dancers.root, "--size", "32", "--json")
    assert folders.exit_code == 0, folders.output
    assert json.loads(folders.stdout)["rows"][0]["values"] == pytest.approx(values)
    assert idol(*wanted, "--seed", "1").exit_code == 0
    assert len(list(out.glob("samples-*"))) == 2


def test_the_benchs_view_of_a_clip_is_the_models(dancers: Dataset) -> None:
    """Two packages that must not meet cut and scale a clip alike."""
    data = tiny_generation.recipe().data
    for id in PreparedSet(dancers.root).ids:
        mine = centre_square(PreparedSet(dancers.root).read(id), data.size)
        theirs = clip_inputs(dancers.clip(id), data)
        assert_array_equal(mine.video, theirs.frames)
        assert_array_equal(mine.depth, theirs.depth)


def test_codec_ceiling_is_the_codec() -> None:
    pipe = tiny_generation.shared()
    ceiling = CodecCeiling(pipe=pipe)
    size = tiny_generation.SIZE
    video = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    answer = ceiling.answer(EvalClip(id="x", video=video, depth=np.full((2, size, size), 0.5, np.float32)))
    assert answer.shape == (2, size, size)
    x = torch.from_numpy(video).movedim(-1, 1).float() / 127.5 - 1
    with torch.no_grad():
        y = pipe.codec.decode(pipe.codec.encode(x))
    expected = ((y.clamp(-1, 1) + 1) * 127.5).movedim(1, -1).numpy()
    assert answer.video is not None
    assert_allclose(answer.video, expected, atol=0.51)
    assert answer.depth is not None
    assert answer.depth.min() >= 0


def test_flops_on_meta_are_those_of_a_real_step() -> None:
    pipe = tiny_generation.shared()
    poses = tiny_generation.drawn_poses(8)
    pictures = {"foreground": tiny_generation.person(), "background": tiny_generation.background(), "poses": poses}
    totals = []
    for steps in (1, 2):
        with FlopCounterMode(display=False) as counter:
            pipe(**pictures, num_inference_steps=steps, guidance_scale=1.5)
        totals.append(counter.get_total_flops())
    assert step_flops(pipe.recipe, 8, 1.5) == totals[1] - totals[0]
    assert 1.9 < step_flops(pipe.recipe, 8, 1.5) / step_flops(pipe.recipe, 8, 1.0) <= 2


def test_a_mean_depth_beside_the_checkpoint_is_used(tmp_path: Path, dancers: Dataset, training: Dataset) -> None:
    checkpoint = tmp_path / "checkpoint"
    tiny_generation.shared().save_pretrained(checkpoint)
    (checkpoint / "baselines").mkdir()
    depth = mean_depth(PreparedSet(training.root), fitting(tiny_generation.SIZE))
    save_mean_depth(checkpoint / "baselines" / "mean_depth.npz", depth, 2, training.content_hash)
    wanted = ["--ckpt", checkpoint, "--data", dancers.root, "-o", tmp_path / "out", "--steps", "1", "--no-complexity"]
    done = idol(*LIGHT, *wanted, "--limit", "1", "--json")
    assert done.exit_code == 0, done.output
    assert "training-mean depth" in [row["name"] for row in json.loads(done.stdout)["rows"]]


def test_folders(tmp_path: Path) -> None:
    truth = tiny_clips.dataset(tmp_path / "data", {"a": "test", "b": "test"})
    mine = tiny_clips.samples(tmp_path / "mine", truth, noise=5)
    (mine / "b").rename(tmp_path / "elsewhere")
    done = idol(*LIGHT, "--samples", mine, "--reference", truth.root, "--markdown", tmp_path / "page.md")
    assert done.exit_code == 0, done.output
    assert "first frame held still" in done.stdout
    assert "not comparable with measured rows" in done.stdout
    page = (tmp_path / "page.md").read_text()
    assert "| mine |" in page
    assert "IDOL (paper, Table 1, tiktok)" in page
    tiny_clips.sample(mine / "zoo", truth.clip("a").frames(), tiny_clips.normalised(truth, "a"))
    refused = idol(*LIGHT, "--samples", mine, "--reference", truth.root)
    assert refused.exit_code == 2
    assert "zoo is not among the 2 reference clips" in refused.stderr


def test_left_out_reference_clips_are_said(tmp_path: Path) -> None:
    truth = tiny_clips.dataset(tmp_path / "data", {"a": "test", "b": "test", "c": "test"})
    mine = tiny_clips.samples(tmp_path / "mine", truth)
    (mine / "b").rename(tmp_path / "elsewhere")
    done = idol(*LIGHT, "--samples", mine, "--reference", truth.root, "--no-baselines", "--paper", "0", "--json")
    result = json.loads(done.stdout)
    assert result["without_sample"] == ["b"]
    assert [row["name"] for row in result["rows"]] == ["mine"]
    assert result["rows"][0]["values"]["psnr"] == "inf"
    assert "1 reference clips have no sample and are left out: b" in done.stderr
    assert result["rows"][0]["notes"] == ["1 reference clips have no sample and are left out: b"]


def test_alignment_always_has_its_ceiling(tmp_path: Path) -> None:
    truth = tiny_clips.dataset(tmp_path / "data", {"a": "test"}, frames=2)
    mine = tiny_clips.samples(tmp_path / "mine", truth, noise=5)
    wanted = ["--metrics", "alignment", "--samples", mine, "--reference", truth.root, "--no-baselines", "--json"]
    rows = {row["name"]: row["values"] for row in json.loads(idol(*wanted).stdout)["rows"] if row["kind"] != "paper"}
    assert list(rows) == ["mine", "true clips"]
    assert rows["true clips"]["align_outline"] == 1
    assert rows["true clips"]["align_edges"] > rows["mine"]["align_edges"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--samples", "x"], "--reference: missing"),
        (["--reference", "x"], "--samples: missing"),
        (["--samples", "x", "--reference", "y"], "x: no such file or folder"),
        (["--samples", "x", "--reference", "y", "--ckpt", "z"], "--ckpt: goes with a checkpoint"),
        (["--samples", "x", "--reference", "y", "--seed", "0"], "--seed: goes with a checkpoint"),
        (["--metrics", "vmaf"], "unknown metric 'vmaf'"),
        (["--weights", "vgg=x"], "--weights vgg=x: give one of fid_fvd=FILE"),
        (["--weights", "fvd=absent.pt"], "absent.pt: no such weight file"),
        (["--weights", f"fid={__file__}", "--weights", f"fid={__file__}"], "fid has"),
        (["--weights", f"fvd={__file__}", "--metrics", "psnr,fid"], "no chosen metric of protocol idol-8 uses them"),
        (["--ckpt", "absent"], "absent"),
    ],
)
def test_wrong_requests(
    arguments: list[str], said: str, tmp_path: Path, dancers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = [] if "--samples" in arguments or "--reference" in arguments else ["--data", str(dancers.root)]
    done = idol(*arguments, *data, "--device", "cpu")
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4


def test_another_size_than_the_models_is_refused(tmp_path: Path, checkpoint: Path, dancers: Dataset) -> None:
    done = idol("--ckpt", checkpoint, "--data", dancers.root, "--size", "64", "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "--size 64: this checkpoint makes 32 x 32" in done.stderr


def test_held_out_dancers_are_made_where_there_is_no_data(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sixteen of the repository's fixed seed, whole."""
    monkeypatch.chdir(tmp_path)
    done = idol(*LIGHT, "--ckpt", checkpoint, "--steps", "1", "--limit", "2", "--no-complexity", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert len(Dataset.open(tmp_path / "out" / "heldout").records("test")) == synthetic.HELD_OUT_CLIPS
    assert result["rows"][0]["counts"] == {"clips": 2, "frames": 32}
    assert (tmp_path / "out" / "bench" / "tiny" / "scores.json").is_file()


def test_repeated_generation_has_a_spread(tmp_path: Path, checkpoint: Path, dancers: Dataset) -> None:
    """Two seeds, one row each, and their mean; shards of it join to the same."""
    wanted = [*LIGHT, "--ckpt", checkpoint, "--data", dancers.root, "--steps", "1", "--no-complexity", "--no-baselines"]
    done = idol(*wanted, "-o", tmp_path / "out", "--repeat", "2", "--sheet", tmp_path / "sheet.html", "--json")
    assert done.exit_code == 0, done.output
    mean, one, two, ceiling = json.loads(done.stdout)["rows"][:4]
    assert (mean["name"], one["name"], two["name"]) == ("debug, 2 seeds", "debug, seed 0", "debug, seed 1")
    values = [row["values"]["psnr"] for row in (one, two)]
    assert mean["values"]["psnr"] == pytest.approx(np.mean(values))
    assert mean["spreads"]["psnr"] == pytest.approx(np.std(values, ddof=1))
    assert mean["counts"]["seeds"] == 2
    assert ceiling["name"] == "codec ceiling"
    assert "data:image/png" in (tmp_path / "sheet.html").read_text()
    for part in ("1/2", "2/2"):
        assert idol(*wanted, "-o", tmp_path / "out", "--repeat", "2", "--shard", part).exit_code == 0
    merged = idol("merge", tmp_path / "out", "--json")
    assert merged.exit_code == 0, merged.output
    for row, own in zip(json.loads(merged.stdout)["rows"], (mean, one, two), strict=False):
        assert (row["name"], row["values"], row["spreads"]) == (own["name"], own["values"], own["spreads"])
