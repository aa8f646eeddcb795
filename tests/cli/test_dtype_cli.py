"""``--dtype`` as a user types it: said, recorded, and never mixed with samples of another type."""

import json
from pathlib import Path

import pytest
import tiny_generation
from click.testing import Result
from tiny_training import dancers
from typer.testing import CliRunner

from cli.main import build_app

LOW = pytest.mark.filterwarnings("ignore:precision=bf16")
"""What is said on a processor without instructions for bf16."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tiny_generation.shared().save_pretrained(folder)
    return folder


def idol(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(build_app(), [*map(str, arguments), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return done


@LOW
def test_samples_in_bf16_are_not_taken_for_those_in_float32(tmp_path: Path, checkpoint: Path) -> None:
    wanted = ["bench", "--ckpt", checkpoint, "--data", dancers(), "--split", "train", "-o", tmp_path / "out"]
    wanted += ["--limit", "1", "--frames", "2", "--steps", "1", "--metrics", "psnr", "--no-baselines"]
    wanted += ["--no-complexity", "--background", "reference"]
    found = {dtype: json.loads(idol(*wanted, "--dtype", dtype, "--json").stdout) for dtype in ("fp32", "bf16")}
    names = {dtype: result["rows"][0]["name"] for dtype, result in found.items()}
    assert "float" not in names["fp32"]
    assert names["bf16"] == f"{names['fp32']}, bfloat16"
    assert [found[dtype]["generation"]["dtype"] for dtype in found] == ["float32", "bfloat16"]
    records = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("samples-*/*/sample.json")]
    assert sorted(record["dtype"] for record in records) == ["bfloat16", "float32"]
    assert len({record["id"] for record in records}) == 1


@LOW
def test_inspect_and_generate_say_and_record_their_type(tmp_path: Path, checkpoint: Path) -> None:
    tiny_generation.save_pictures(tmp_path / "poses", tiny_generation.drawn_poses(2))
    tiny_generation.save_pictures(tmp_path / "pictures", tiny_generation.drawn_poses(1))
    picture = tmp_path / "pictures" / "1.png"
    made = idol(
        *("generate", picture, picture, tmp_path / "poses", "--ckpt", checkpoint, "-o", tmp_path / "s"),
        *("--mask", picture, "--steps", "1", "--dtype", "bf16"),
    )
    assert "cpu, bfloat16" in made.stderr
    assert json.loads((tmp_path / "s" / "sample.json").read_text())["dtype"] == "bfloat16"
    seen = idol("inspect", "--ckpt", checkpoint, "--data", dancers(), "-o", tmp_path / "i", "--dtype", "bf16")
    assert "cpu, bfloat16" in seen.stderr
    assert json.loads((tmp_path / "i" / "inspect.json").read_text())["dtype"] == "bfloat16"
