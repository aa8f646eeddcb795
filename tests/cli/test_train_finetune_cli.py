"""``idol train finetune`` and ``idol generate --lora`` as typed."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_base import base
from tiny_generation import background, drawn_poses, person, save_pictures
from tiny_training import dancers
from typer.testing import CliRunner, Result

from cli._checkpoint import LoraChoice
from cli.main import build_app
from idol_model.checkpoint import file_hash
from idol_prep.video import read_ffv1

FAST = [
    "--steps",
    "2",
    "--lr",
    "0.05",
    "--set",
    "codec_stage.steps=2",
    "--set",
    "codec_stage.pictures=8",
    "--device",
    "cpu",
]


def idol(*words: str | Path) -> Result:
    return CliRunner().invoke(build_app(), list(map(str, words)))


def finetune(*words: str | Path) -> Result:
    return idol("train", "finetune", "--from", base(), "--data", dancers(), *words)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A LoRA run, and what it said as JSON."""
    run = tmp_path_factory.mktemp("tuned") / "run"
    done = finetune("-o", run, "--lora", "2", *FAST, "--watch", "none", "--json")
    assert done.exit_code == 0, done.stderr
    return run, json.loads(done.stdout)


def test_a_run_says_what_it_chose_and_what_the_codec_gained(tuned: tuple[Path, dict]) -> None:
    run, said = tuned
    assert Path(said["model"], "model_index.json").is_file()
    assert Path(said["lora"], "pytorch_lora_weights.safetensors").is_file()
    chosen = {one["field"]: one for one in said["chosen"]}
    assert chosen["stages.0.steps"]["value"] == 2
    assert chosen["stages.0.name"] == {
        "field": "stages.0.name",
        "value": "video",
        "reason": "4 of 4 clips have the 8 frames of a window",
    }
    assert chosen["data.background"]["value"] == "plate"
    assert said["codec"]["before"] != said["codec"]["after"]
    assert said["codec"]["frames"] == 32
    assert len(list((run / "previews").glob("*.png"))) == 2


def test_run_again_it_is_done(tuned: tuple[Path, dict]) -> None:
    run, said = tuned
    again = finetune("-o", run, "--lora", "2", *FAST, "--watch", "none", "--json")
    assert again.exit_code == 0, again.stderr
    now = json.loads(again.stdout)
    assert {**now, "last": said["last"]} == said
    other = finetune("-o", run, "--lora", "4", *FAST)
    assert other.exit_code == 2
    assert "holds a run of another recipe (lora.rank" in other.stderr


@pytest.mark.filterwarnings("ignore:precision=bf16. this processor")
def test_the_lora_file_generates_what_the_trained_model_does(tuned: tuple[Path, dict], tmp_path: Path) -> None:
    run, _ = tuned
    Image.fromarray(person()).save(tmp_path / "fg.png")
    Image.fromarray(background()).save(tmp_path / "bg.png")
    save_pictures(tmp_path / "poses", drawn_poses(3, 32, 32))

    def made(name: str, *words: str | Path) -> np.ndarray:
        pictures = [tmp_path / one for one in ("fg.png", "bg.png", "poses")]
        done = idol("generate", *pictures, "-o", tmp_path / name, "--steps", "2", "--device", "cpu", *words)
        assert done.exit_code == 0, done.stderr
        return read_ffv1(tmp_path / name / "frames.mkv").astype(int)

    whole = made("whole", "--ckpt", run / "model")
    added = made("added", "--ckpt", base(), "--lora", run / "lora")
    plain, nothing = made("plain", "--ckpt", base()), made("none", "--ckpt", base(), "--lora", f"{run}=0")
    assert np.abs(added - whole).max() <= 1
    assert np.abs(plain - whole).max() > 1
    assert np.abs(nothing - whole).max() > 1
    half = made("half", "--ckpt", base(), "--lora", run / "lora", "--dtype", "bf16")
    assert np.abs(half - whole).mean() < np.abs(plain - whole).mean()
    record = json.loads((tmp_path / "added" / "sample.json").read_text())
    (lora,) = record["checkpoint"]["lora"]
    assert lora["sha256"] == file_hash(run / "lora" / "pytorch_lora_weights.safetensors")
    assert (lora["scale"], len(lora["codec_sha256"])) == (1.0, 64)
    assert "lora" not in json.loads((tmp_path / "plain" / "sample.json").read_text())["checkpoint"]


def test_a_dry_run_says_reasons_and_counts_lora_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = finetune("--lora", "2", "--codec", "keep", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    plan = json.loads(done.stdout)
    assert "every clip has a clean plate" in [one["reason"] for one in plan["chosen"]]
    (stage,) = plan["stages"]
    assert ("lora.rank", 2) in [(one["field"], one["value"]) for one in plan["chosen"]]
    assert stage["trained"]["foreground"] == stage["trained"]["codec"] == 0
    assert 0 < sum(stage["trained"].values()) < 0.1 * sum(stage["frozen"].values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "absent"], "absent: no such checkpoint folder"),
        (["--set", "stages.0.stpes=1"], "stpes"),
        (["--set", "stages.0.frames=99"], "the longest clip has 10"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(words: list[str], said: str, tmp_path: Path) -> None:
    done = finetune(*words, "-o", tmp_path / "run", "--device", "cpu")
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "run").exists()


def test_a_lora_is_named_with_its_scale(tmp_path: Path) -> None:
    assert LoraChoice.parse("a/b=0.5") == LoraChoice("a/b", 0.5)
    assert LoraChoice.parse("a/b") == LoraChoice("a/b", 1.0)
    (tmp_path / "rank=4").mkdir()
    assert LoraChoice.parse(str(tmp_path / "rank=4")) == LoraChoice(str(tmp_path / "rank=4"), 1.0)
    with pytest.raises(ValueError, match=r"--lora a=half: 'half' is not a number"):
        LoraChoice.parse("a=half")
