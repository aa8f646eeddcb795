"""``idol train`` as typed."""

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from tiny_training import dancers
from typer.testing import CliRunner, Result

from cli.main import build_app
from idol_model import checkpoint

FAST = ["--set", "codec_stage.steps=2", "--set", "stages.0.steps=2", "--set", "stages.1.steps=2"]


def idol(*words: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["train", *map(str, words)])


def test_the_list_names_every_recipe():
    listed = json.loads(idol("--list", "--json").stdout)["recipes"]
    assert {"idol", "demo", "debug"} <= {recipe["name"] for recipe in listed}
    assert all(recipe["summary"] for recipe in listed)
    assert "debug" in idol("--list").stdout
    figures = {recipe["name"]: recipe["paper"] for recipe in listed}
    assert figures["dwpose"][0]["figures"]["fvd"] == 179.2
    assert {row["table"] for row in figures["idol"]} == {1, 3, 5, 6}


@pytest.mark.slow  # a traced step of full size for each stage; the counts alone: tests/idol_model/test_recipes.py
def test_the_plan_of_the_paper_counts_what_the_paper_counts():
    plan = json.loads(idol("idol-24gb", "--dry-run", "--json").stdout)
    assert plan["parameters_millions"] == {
        "unet_2d": 859.52,
        "unet_3d": 975.84,
        "pose_control": 417.65,
        "together": 1393.49,
        "with_coupling": 1410.7,
    }
    assert plan["recipe"]["name"] == "idol-24gb"
    # The video stage fits a GPU of 24 GB with what its libraries take.
    assert plan["memory"][1]["stage"] == "video"
    assert plan["memory"][1]["total"] + 1e9 < 24e9
    assert [(stage["name"], stage["steps"]) for stage in plan["stages"]] == [("image", 15000), ("video", 15000)]
    assert plan["stages"][0]["frozen"]["codec"] == plan["parts"]["codec"]


def test_a_plan_needs_no_data_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = idol("debug", "--dry-run", "--set", "seed=7")
    assert result.exit_code == 0
    assert '"seed": 7' in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_trains_and_says_where_the_model_is(tmp_path):
    result = idol("debug", "--data", dancers(), "-o", tmp_path / "run", *FAST, "--json", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert Path(answer["model"], "model_index.json").is_file()
    assert answer["last"]["stage"] == "video"


def test_missing_data_names_the_command_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = idol()
    assert result.exit_code == 2
    assert "idol prep tiktok" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_missing_weights_name_the_command_that_brings_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    result = idol("--data", dancers())
    assert result.exit_code == 2
    assert "hf download lambdalabs/sd-image-variations-diffusers" in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["idlo", "--dry-run"], "recipe 'idlo': unknown; choose from idol"),
        (["debug", "--dry-run", "--set", "sede=1"], "sede"),
        (["debug", "--dry-run", "--set", "seed"], "write field=value"),
        (["debug", "--dry-run", "--set", "seed=x"], "seed"),
        (["debug", "--data", "absent"], "absent"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    result = idol(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_cache_made_ahead_is_found_by_the_training(tmp_path):
    words = [
        "--data",
        dancers(),
        "--cache",
        tmp_path / "shared",
        "--json",
        "--set",
        "codec_stage=null",
        "--device",
        "cpu",
    ]
    first = idol("cache", "debug", *words)
    assert first.exit_code == 0, first.stderr
    (made,) = json.loads(first.stdout)["caches"]
    assert (made["clips"], made["unreadable"]) == (4, {})
    assert made["bytes"] == sum(file.stat().st_size for file in Path(made["path"]).iterdir())
    stamp = Path(made["path"], "latents.npy").stat().st_mtime_ns
    trained = idol("debug", *words, "-o", tmp_path / "run", *FAST[2:])
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["faults"] == []
    assert [path for path in (tmp_path / "shared").iterdir() if path.is_dir()] == [Path(made["path"])]
    assert Path(made["path"], "latents.npy").stat().st_mtime_ns == stamp
    assert not (tmp_path / "run" / "latents").exists()


def test_a_codec_that_is_yet_to_be_trained_has_nothing_to_cache(tmp_path):
    result = idol("cache", "debug", "--data", dancers(), "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "recipe debug: trains its own codec first" in result.stderr


def test_what_could_not_be_read_is_said_at_the_end(tmp_path):
    data = tmp_path / "data"
    shutil.copytree(dancers(), data)
    damaged = sorted((data / "clips").glob("*/frames.mkv"))[0]
    damaged.write_bytes(b"no video")
    words = ["--data", data, "--set", "codec_stage=null", "--set", "data.most_faults=1", "--device", "cpu", *FAST[2:]]
    result = idol("debug", *words, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "1 clips or pictures could not be read, others took their place" in result.stdout
    assert f"{damaged}: cannot be decoded" in result.stdout
    stopped = idol("debug", *words, "-o", tmp_path / "other", "--set", "data.most_faults=0")
    assert stopped.exit_code == 2
    assert "1 samples cannot be read, 0 are allowed" in stopped.stderr


def test_ctrl_c_saves_where_it_stands_and_says_so_in_one_line(tmp_path):
    def press() -> None:
        while not list(tmp_path.glob("checkpoints/codec-*/state.json")):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    waiting = threading.Thread(target=press)
    waiting.start()
    result = idol("debug", "--data", dancers(), "-o", tmp_path, "--device", "cpu", "--set", "codec_stage.steps=100000")
    waiting.join()
    assert result.exit_code == 130
    found = checkpoint.newest(tmp_path / "checkpoints")
    assert found is not None
    step = found.position.step
    assert (
        f"stopped after step {step} of 100000 of stage codec; saved in {found.path}, the same command" in result.stderr
    )
    assert not (tmp_path / "model").exists()
