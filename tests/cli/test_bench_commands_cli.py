"""Below and beside ``idol bench``: rows by name, shards and merge, tables, sheets, inferred depth, cost."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_clips
import tiny_densepose
from click.testing import Result
from PIL import Image
from safetensors.torch import save_file
from tiny_annotator import Slope
from typer.testing import CliRunner

from cli.bench.annotators import Annotated, DepthInference
from cli.bench.generation import Generation, extrapolated, random_pipeline, still_inputs
from cli.main import build_app
from idol_eval.baselines import Truth
from idol_eval.intervals import COVERS_MEANS
from idol_eval.samples import DepthRule, EvalClip
from idol_model import recipes
from idol_prep import annotators
from idol_prep.schema import Dataset

LIGHT = ["--metrics", "depth,psnr,silhouette", "--device", "cpu", "--bootstrap", "20"]


def idol(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["bench", *map(str, arguments)])


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_clips.dataset(tmp_path_factory.mktemp("truth") / "data", dict.fromkeys("abc", "test"), frames=4)


@pytest.fixture(scope="module")
def home(truth: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    tiny_clips.samples(folder / "good", truth, noise=5)
    tiny_clips.samples(folder / "bad", truth, noise=50)
    return folder


def test_methods_as_rows_with_sheet_and_files(tmp_path: Path, home: Path, truth: Dataset) -> None:
    files = [tmp_path / f"scores.{ending}" for ending in ("md", "tex", "html", "json")]
    wanted = ["--row", "IDOL", "--samples", home / "good", "--row", "TPS", "--samples", home / "bad"]
    written = [part for file in files for part in ("--to", file)]
    done = idol(*LIGHT, *wanted, "--reference", truth.root, *written, "--sheet", tmp_path / "sheet.png")
    assert done.exit_code == 0, done.output
    rows = json.loads(files[-1].read_text())["rows"]
    assert [row["name"] for row in rows[:3]] == ["IDOL", "TPS", "true clips"]
    assert rows[0]["values"]["psnr"] > rows[1]["values"]["psnr"]
    low, high = rows[1]["intervals"]["psnr"]
    assert low < rows[1]["values"]["psnr"] < high
    words = " ".join(done.stdout.split())
    assert "How sure they are" in words
    assert COVERS_MEANS in words
    assert r"\textbf" in files[1].read_text()
    assert "data:image/png" in files[2].read_text()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 500
    table = idol("table", "1", "--scores", files[-1], "--dataset", "tiktok", "--json")
    (found,) = json.loads(table.stdout)["tables"]
    measured = {row["row"]: row["measured"] for row in found["rows"]}
    assert measured["TPS"]["values"]["depth_mse"] == rows[1]["values"]["depth_mse"]
    assert measured["FOMM"] is None
    assert "FOMM, tiktok" in found["gaps"]
    shown = idol("table", "1", "--scores", files[-1], "--dataset", "tiktok", "--to", tmp_path / "pages" / "table.html")
    assert shown.exit_code == 0, shown.output
    page = (tmp_path / "pages" / "table.html").read_text()
    assert page.count("<figure>") == 1  # depth L2 is all that the paper's table and these rows share
    assert page.count("<rect") == 2
    assert [f"<td>{id}</td>" in page for id in "abc"] == [True] * 3
    assert 'href="../scores.html"' in page


def test_shards_merge_to_what_one_process_gives(tmp_path: Path, home: Path, truth: Dataset) -> None:
    wanted = [*LIGHT, "--samples", home / "bad", "--reference", truth.root]
    whole = json.loads(idol(*wanted, "--json").stdout)
    for part in ("1/2", "2/2"):
        done = idol(*wanted, "-o", tmp_path, "--shard", part)
        assert done.exit_code == 0, done.output
    merged = idol("merge", tmp_path, "--bootstrap", "20", "-o", tmp_path / "whole", "--json")
    assert merged.exit_code == 0, merged.output
    rows = json.loads(merged.stdout)["rows"]
    for one, two in zip(rows, whole["rows"], strict=True):
        assert one["values"] == two["values"]
    assert rows[0]["intervals"] == whole["rows"][0]["intervals"]
    worst = max(whole["rows"][0]["per_clip"], key=lambda clip: clip["depth_mse"])["id"]
    page = (tmp_path / "whole" / "scores.html").read_text()
    assert f"worst clip by depth L2: {worst}, frames 0, 1, 2, 3" in page
    assert page.count("data:image/png") == 1
    alone = idol("merge", tmp_path / "shard-1-of-2")
    assert alone.exit_code == 2
    assert "1 of 3 clips are in no shard (b)" in alone.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--samples", "GOOD", "--row", "a", "--row", "b", "--reference", "TRUTH"], "--row: 2 names for 1 folders"),
        (["--samples", "GOOD", "--samples", "GOOD", "--reference", "TRUTH"], "two rows would be called 'good'"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--shard", "1/2"], "--shard: needs a folder"),
        (["--samples", "GOOD", "--reference", "TRUTH", "-o", "OUT", "--shard", "5/4"], "--shard 5/4: write I/N"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--protocol", "fvd"], "protocol 'fvd': is none of idol-8"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--to", "x.pdf"], "x.pdf: name a file that ends in .md"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--sheet", "x.gif"], "--sheet x.gif: name a file"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--infer-depth", "x"], "no depth annotator is named 'x'"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--infer-depth", "hdnet"], "the weights hdnet are not here"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--infer-depth", "hdnet"], "the weights densepose are not here"),
        (["--infer-depth", "hdnet"], "the weights densepose are not here"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--weights", "hdnet=."], "name it with --infer-depth"),
        (["--infer-depth", "hdnet", "--weights", "hdnet=absent"], "absent: no such file or folder"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--repeat", "2"], "--repeat: goes with a checkpoint"),
        (["--samples", "GOOD", "--samples", "FEW", "--reference", "TRUTH"], "row few: lacks clip c, which good has"),
        (["--samples", "MP4", "--reference", "TRUTH", "--lossless"], "lossy pictures or videos, and --lossless"),
        (["--samples", "CUT", "--reference", "TRUTH"], "a.mkv: breaks off after 1 of 4 frames"),
        (["--row", "a"], "--row: names a folder of --samples"),
        (["--samples", "GOOD", "--reference", "TRUTH", "--metrics", "fvd"], "4 frames are too few for snippets of 8"),
        (["table", "3", "--dataset", "mnist"], "the paper has no such row: table 3, dataset mnist"),
        (["table", "1", "--scores", "absent.json"], "absent.json: holds no scores"),
        (["merge", "absent"], "absent: holds no shard"),
    ],
)
def test_wrong_requests(
    arguments: list[str], said: str, tmp_path: Path, home: Path, truth: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "FEW" in arguments:
        (tmp_path / "few").mkdir()
        for id in "ab":
            (tmp_path / "few" / id).symlink_to(home / "good" / id)
    if "MP4" in arguments:
        tiny_clips.videos(tmp_path / "mp4", truth, ".mp4")
    if "CUT" in arguments:
        cut = tiny_clips.videos(tmp_path / "cut", truth) / "a.mkv"
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    places = {"GOOD": home / "good", "TRUTH": truth.root, "OUT": tmp_path / "out"}
    places |= {"FEW": tmp_path / "few", "MP4": tmp_path / "mp4", "CUT": tmp_path / "cut"}
    light = [] if arguments[0] in ("table", "merge") or "--metrics" in arguments else LIGHT
    done = idol(*light, *(str(places.get(part, part)) for part in arguments))
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_inferred_depth_is_laid_into_the_references_range(monkeypatch: pytest.MonkeyPatch) -> None:
    slope = annotators.Entry(module=__name__, make=lambda *_: Slope(), describe=lambda _: Slope.info)
    monkeypatch.setitem(annotators.ENTRIES, ("depth", "slope"), slope)
    infer = DepthInference("slope")
    clip = EvalClip(id="a", video=np.zeros((19, 8, 200, 3), np.uint8))
    found = infer(clip, DepthRule(person=(0.0, 0.5), background=0.9))
    assert found.depth is not None
    assert found.depth.shape == (19, 8, 200)
    assert (found.depth.min(), found.depth.max()) == (0, 1)
    assert found.depth[0, 0, 100] == pytest.approx(0.5, abs=0.01)
    assert found.rule.scope == "frame"
    assert infer.note == "depth estimated from the frames by slope 1: a test's"
    row = Annotated(inner=Truth(), name="truth, depth by slope", depth=infer)
    assert row.answer(clip).depth is not None
    assert row.kind == "ceiling"


@pytest.mark.skipif(not annotators.readiness()[0].ready, reason="MediaPipe is not installed")
def test_poses_and_depth_by_the_offline_annotators(tmp_path: Path) -> None:
    """On a dancer: found again in the true frames, and a depth after the fact as a row of its own."""
    from idol_prep.sources import synthetic

    dancer = synthetic.generate(tmp_path / "data", 1, 5, size=(192, 192), frames=3, split="test")
    (record,) = dancer.records()
    clip = dancer.clip(record.id)
    tiny_clips.sample(tmp_path / "mine" / record.id, clip.frames(), tiny_clips.normalised(dancer, record.id))
    done = idol(
        *["--metrics", "depth,pose", "--samples", tmp_path / "mine", "--reference", dancer.root, "--pose", "mediapipe"],
        *["--infer-depth", "landmarks", "--json"],
    )
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["mine"]["values"]["depth_mse"] < 1e-6
    inferred = rows["mine, depth by landmarks"]
    assert inferred["values"]["depth_mse"] > 1e-4
    assert any(note.startswith("depth estimated from the frames by landmarks") for note in inferred["notes"])
    assert rows["mine"]["values"]["pose_found"] == rows["true clips"]["values"]["pose_found"] > 0


@pytest.mark.skipif(not annotators.readiness()[0].ready, reason="MediaPipe is not installed")
def test_depth_by_hdnet_from_the_frames_alone(tmp_path: Path) -> None:
    """The paper's row for DisCo: HDNet with its DensePose made here, both of the user's own weights, both told."""
    from idol_prep.annotators._hdnet_network import HDNet
    from idol_prep.sources import synthetic

    dancer = synthetic.generate(tmp_path / "data", 1, 5, size=(192, 192), frames=2, split="test")
    (record,) = dancer.records()
    folder = tmp_path / "mine" / record.id
    tiny_clips.sample(folder, dancer.clip(record.id).frames(), tiny_clips.normalised(dancer, record.id))
    save_file(HDNet((2, 2, 2, 2, 2)).state_dict(), tmp_path / "hdnet.safetensors")
    program = tiny_densepose.write(tmp_path / "dp.torchscript")
    done = idol(
        *["--metrics", "depth", "--samples", tmp_path / "mine", "--reference", dancer.root, "--infer-depth", "hdnet"],
        *["--weights", f"hdnet={tmp_path / 'hdnet.safetensors'}", "--weights", f"densepose={program}", "--json"],
    )
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["mine, depth by hdnet"]["values"]["depth_mse"] > 1e-4
    (note,) = (said for said in rows["mine, depth by hdnet"]["notes"] if said.startswith("depth estimated"))
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    assert "by hdnet 1 (hdnet.safetensors " in note
    assert f"from body surfaces by densepose r50_fpn_dl, TorchScript (dp.torchscript {digest[:12]})" in note


def test_lists() -> None:
    listed = json.loads(idol("protocols", "--json").stdout)["protocols"]
    assert [one["id"] for one in listed] == ["idol-8", "disco-png-16", "disco-gif-16", "stylegan-v"]
    metrics = json.loads(idol("metrics", "--json").stdout)["metrics"]
    assert {"fvd", "kid", "align_edges", "pck_10", "lpips"} <= {one["key"] for one in metrics}


def test_cost_of_a_recipe(tmp_path: Path) -> None:
    files = [tmp_path / f"costs.{ending}" for ending in ("json", "md", "tex", "html")]
    to = [part for file in files for part in ("--to", str(file))]
    fast = ["--frames", "2", "--time", "--steps", "4", "--timed-steps", "2", "--repeats", "1", "--dtype", "fp32"]
    done = idol("cost", "debug", *fast, "--json", *to)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    (row,) = result["rows"]
    assert row["flops_per_step"] > 0
    assert row["seconds"] > 0
    assert row["peak_memory_mb"] > 0
    assert (row["steps"], row["timed_steps"]) == (4, 2)
    assert row["rule"].endswith("a generation in 4 steps, float32, extrapolated from 2 steps and one")
    assert "(from 2 steps)" in files[1].read_text()
    assert json.loads(files[0].read_text()) == result
    assert all("MM-Diffusion" in file.read_text() for file in files[1:])
    line = next(line for line in files[1].read_text().splitlines() if line.startswith("| debug"))
    assert [cell.strip() for cell in line.split("|")[3:10:2]] == ["1.00"] * 4
    shown = idol("table", "7", "--scores", str(files[0]), "--json")
    assert json.loads(shown.stdout)["tables"][0]["gaps"] == ["LDM3D", "MM-Diffusion", "IDOL"]


def test_a_generation_runs_every_step_and_decodes() -> None:
    pipe = random_pipeline(recipes.get("debug"), "cpu", "float32")
    calls: list[str] = []
    pipe.unet.register_forward_hook(lambda *_: calls.append("step"))
    pieces = list(pipe.pieces(**still_inputs(pipe, 3), num_inference_steps=5, guidance_scale=1.0))
    assert calls.count("step") == 5
    assert sum(len(piece.video) for piece in pieces) == 3


def test_fewer_steps_are_laid_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 0.5 s and 0.1 s a step: 50 steps are 5.5 s, whether all are run or two and one."""
    now, ran = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def run(steps: int) -> None:
        ran.append(steps)
        now[0] += 0.5 + 0.1 * steps

    assert extrapolated(run, Generation(repeats=2)).seconds == pytest.approx(5.5)
    assert ran == [1, 50, 50]
    ran.clear()
    assert extrapolated(run, Generation(repeats=2, timed_steps=3)).seconds == pytest.approx(5.5)
    assert ran == [1, 3, 3, 1, 1]
    assert not Generation(timed_steps=50).extrapolates
    with pytest.raises(ValueError, match="--timed-steps 60: time between 2 and 50 steps"):
        Generation(timed_steps=60)
