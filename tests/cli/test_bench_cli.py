"""``idol bench`` as a user types it: a tiny checkpoint on tiny dancers, and folders against folders."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_clips
import tiny_generation
import tiny_recipes
import torch
from click.testing import Result
from numpy.testing import assert_allclose, assert_array_equal
from tiny_annotator import Slope
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from cli._output import Output
from cli.bench.ceiling import CodecCeiling
from cli.bench.costs import step_flops
from cli.bench.sampling import Job, Settings, jobs
from cli.main import build_app
from idol_eval.baselines import mean_depth, save_mean_depth
from idol_eval.geometry import centre_square, fitting
from idol_eval.readers import PreparedSet
from idol_eval.samples import EvalClip, SampleError
from idol_model import IdolModel, IdolPipeline
from idol_model.data import clip_inputs
from idol_model.training import save_model
from idol_prep import annotators
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic

LIGHT = ["--metrics", "depth,psnr,silhouette,temporal", "--device", "cpu"]
LIGHTER = ["--metrics", "depth,psnr", "--device", "cpu", "--bootstrap", "0", "--paper", "0"]


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
    done = idol(*wanted, "--steps", "2", "--json")  # trained on backgrounds of both kinds, so both are rows
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    rows = {row["name"]: row for row in result["rows"]}
    assert [row["kind"] for row in rows.values()] == [
        *["measured"] * 2,
        "ceiling",
        "ceiling",
        *["baseline"] * 3,
        "paper",
        "paper",
    ]
    reference, plate = rows["debug, reference background"], rows["debug, clean plate"]
    assert (reference["background"], plate["background"]) == ("reference", "plate")
    assert (reference["recipe"], plate["recipe"]) == ("debug", "")
    assert reference["values"]["psnr"] != plate["values"]["psnr"]
    assert len(set(result["samples"]["folders"].values())) == 2
    assert plate["counts"] == {"clips": 2, "frames": 8}
    assert {"depth_mse", "depth_fg_mse", "psnr", "silhouette_iou", "video_change"} <= plate["values"].keys()
    assert rows["first frame held still"]["values"]["video_change"] == 0
    assert "training-mean depth" in rows
    assert result["protocol"]["size"] == tiny_generation.SIZE
    assert result["reference"]["content"] == dancers.content_hash
    assert result["generation"]["steps"] == 2
    assert result["generation"]["background"] == "mixed"
    assert result["complexity"]["parameters"]["unet"] > 0
    assert result["complexity"]["flops_per_step"] > 0
    assert result["complexity"]["seconds"] > 0
    assert result["complexity"]["spread"] >= 0
    assert json.loads((out / "scores.json").read_text()) == result
    assert "| debug, clean plate |" in (out / "scores.md").read_text()


def test_running_again_generates_nothing_and_scores_the_same(
    tmp_path: Path, checkpoint: Path, dancers: Dataset
) -> None:
    out = tmp_path / "out"
    wanted = [*LIGHT, "--ckpt", checkpoint, "--data", dancers.root, "-o", out, "--no-complexity", "--steps", "1"]
    wanted += ["--background", "plate"]
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
    wanted += ["--background", "plate"]
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
    assert len(done.stderr.strip().splitlines()) <= 5


def test_another_size_than_the_models_is_refused(tmp_path: Path, checkpoint: Path, dancers: Dataset) -> None:
    done = idol("--ckpt", checkpoint, "--data", dancers.root, "--size", "64", "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "--size 64: this checkpoint makes 32 x 32" in done.stderr


def test_held_out_dancers_are_made_where_there_is_no_data(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sixteen of the repository's fixed seed, whole."""
    monkeypatch.chdir(tmp_path)
    wanted = ["--steps", "1", "--limit", "2", "--no-complexity", "--background", "plate", "--json"]
    done = idol(*LIGHT, "--ckpt", checkpoint, *wanted)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert len(Dataset.open(tmp_path / "out" / "heldout").records("test")) == synthetic.HELD_OUT_CLIPS
    assert result["rows"][0]["counts"] == {"clips": 2, "frames": 32}
    assert (tmp_path / "out" / "bench" / "tiny" / "scores.json").is_file()


def test_repeated_generation_has_a_spread(tmp_path: Path, checkpoint: Path, dancers: Dataset) -> None:
    """Two seeds of each background, one row each, and their means; shards of it join to the same."""
    wanted = [*LIGHTER, "--ckpt", checkpoint, "--data", dancers.root, "--steps", "1", "--no-complexity"]
    wanted += ["--no-baselines", "--frames", "2"]
    done = idol(*wanted, "-o", tmp_path / "out", "--repeat", "2", "--sheet", tmp_path / "sheet.html", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"][:6]
    assert [row["name"] for row in rows] == [
        f"debug, {background}, {which}"
        for both in (("2 seeds",), ("seed 0", "seed 1"))
        for background in ("reference background", "clean plate")
        for which in both
    ]
    assert [row["recipe"] for row in rows] == ["debug", *[""] * 5]
    for mean, own in zip(rows[:2], (rows[2:4], rows[4:]), strict=True):
        values = [row["values"]["psnr"] for row in own]
        assert {row["background"] for row in own} == {mean["background"]}
        assert mean["values"]["psnr"] == pytest.approx(np.mean(values))
        assert mean["spreads"]["psnr"] == pytest.approx(np.std(values, ddof=1))
        assert mean["counts"]["seeds"] == 2
    assert "data:image/png" in (tmp_path / "sheet.html").read_text()
    for part in ("1/2", "2/2"):
        assert idol(*wanted, "-o", tmp_path / "out", "--repeat", "2", "--shard", part).exit_code == 0
    merged = idol("merge", tmp_path / "out", "--json")
    assert merged.exit_code == 0, merged.output
    for row, own in zip(json.loads(merged.stdout)["rows"], rows, strict=False):
        assert all(row[key] == own[key] for key in ("name", "values", "spreads", "background", "recipe"))


def job_of(background: str, truth: PreparedSet) -> Job:
    """What bench makes of a checkpoint that was trained on backgrounds of one kind."""
    recipe = tiny_generation.recipe().override([f"data.background={background}"])
    shared = tiny_generation.shared()
    model = IdolModel(shared.unet, shared.pose_control, shared.foreground, shared.codec)
    return Job(
        pipe=IdolPipeline.from_model(model, recipe),
        identity={"path": "x", "sha256": "y"},
        reference=truth,
        ids=truth.ids,
        settings=Settings(seed=0, steps=1, guidance=None, background="auto"),
        background="reference",
        frames=None,
    )


def test_the_background_follows_the_recipe(dancers: Dataset, tmp_path: Path) -> None:
    truth = PreparedSet(dancers.root)
    kinds = {
        name: [one.background for one in jobs(Output("silent"), job_of(name, truth))]
        for name in ("reference", "plate", "mixed")
    }
    assert kinds == {"reference": ["reference"], "plate": ["plate"], "mixed": ["reference", "plate"]}


def test_a_missing_plate_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = PreparedSet(tiny_clips.dataset(tmp_path / "data", {"a": "test"}, plates=False).root)
    assert [one.background for one in jobs(Output(), job_of("mixed", truth))] == ["reference"]
    assert "no row 'debug, clean plate': clip a" in capsys.readouterr().err
    with pytest.raises(SampleError, match=r"clip a has no clean plate .* choose --background reference"):
        jobs(Output(), job_of("plate", truth))


def saved(name: str, home: Path) -> Path:
    """A checkpoint of the tiny recipe with random weights."""
    recipe = tiny_recipes.tiny(name)
    torch.manual_seed(0)
    save_model(IdolModel.from_recipe(recipe), recipe, home / name / "model")
    return home / name / "model"


def test_the_row_of_disco(tmp_path: Path, dancers: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint without depth is scored, with the depth of an annotator, and is the paper's row."""
    monkeypatch.chdir(tmp_path)
    slope = annotators.Entry(module=__name__, make=lambda *_: Slope(), describe=lambda _: Slope.info)
    monkeypatch.setitem(annotators.ENTRIES, ("depth", "slope"), slope)
    wanted = [*LIGHTER, "--ckpt", saved("video-only", tmp_path / "runs"), "--data", dancers.root, "--limit", "1"]
    plain = idol(*wanted, "--no-complexity", "--json")
    assert plain.exit_code == 0, plain.output
    assert "recipe video-only makes no depth; --infer-depth ANNOTATOR estimates it" in plain.stderr
    assert "depth_mse" not in json.loads(plain.stdout)["rows"][0]["values"]
    done = idol(*wanted, "--infer-depth", "slope", "--sheet", "sheet.png", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    rows = {row["name"]: row for row in result["rows"] if row["kind"] != "paper"}
    own = rows["video-only, reference background, depth by slope"]
    assert "video-only, reference background" not in rows, "a row without depth stands beside the one that has it"
    assert own["values"]["depth_mse"] > 0
    assert own["recipe"] == "video-only"
    assert "depth_mse" not in rows["codec ceiling"]["values"]
    assert result["complexity"]["seconds"] > 0
    table = idol("table", "1", "--dataset", "tiktok", "--json")
    found = {row["row"]: row["measured"] for row in json.loads(table.stdout)["tables"][0]["rows"]}
    assert found["DisCo"]["values"]["depth_mse"] == own["values"]["depth_mse"]


def test_a_joint_codecs_checkpoint_is_scored(tmp_path: Path, dancers: Dataset) -> None:
    wanted = ["--ckpt", saved("ldm3d", tmp_path), "--data", dancers.root, "--limit", "1", "-o", tmp_path / "out"]
    done = idol(*LIGHTER, *wanted, "--no-complexity", "--json")
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row["values"] for row in json.loads(done.stdout)["rows"]}
    for name in ("ldm3d, reference background", "codec ceiling"):
        assert {"depth_mse", "psnr"} <= rows[name].keys()
