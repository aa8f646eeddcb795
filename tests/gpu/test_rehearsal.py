"""The parts of the GPU benchmark at the smallest size, on the CPU, as figures in their files."""

import dataclasses
import json
import tarfile
import time
from pathlib import Path

import pytest

from benchmarks.gpu import correct, drawing, summary, table7, train, training_memory
from benchmarks.gpu.figures import Figure, make_all
from benchmarks.gpu.ledger import Ledger, read
from benchmarks.gpu.setting import Setting


def setting(tmp_path: Path) -> Setting:
    until = time.time() + 200
    own = {"out": tmp_path / "out", "work": tmp_path / "work", "recipes": ("haop",)}
    return Setting(device="cpu", until=until, rehearse=True, **own)


def made(given: Setting, part: str, figures: list[Figure]) -> dict:
    """What is in the part's file afterwards."""
    assert make_all(figures, Ledger(given.work / f"{part}.json"), given) == 0
    return read(given.work / f"{part}.json")


def test_correct_table_and_memory_write_their_figures(tmp_path) -> None:
    given = setting(tmp_path)
    chosen = [figure for figure in correct.figures(given) if figure.name.startswith("tiny")]
    errors = made(given, "correct", chosen)["tiny: haop"]["values"]
    assert errors["passed"] is True
    assert errors["call_fp32"] == errors["gradient_fp32"] == 0
    assert 0 < errors["call_bf16"] < 2e-2
    chosen = [figure for figure in table7.figures(given) if figure.name in ("video-only: fp32", "matrix products")]
    rows = made(given, "table7", chosen)
    plain = rows["video-only: fp32"]["values"]["without guidance"]
    assert plain["flops"] > plain["flops_of_a_step"] > 0
    assert plain["flop_rate"] == pytest.approx(plain["flops"] / plain["seconds"])
    chosen = [figure for figure in training_memory.figures(given) if figure.name == "haop-24gb, stage attributes"]
    held = made(given, "training_memory", chosen)["haop-24gb, stage attributes"]["values"]
    assert held["samples_per_second"] > 0
    assert held["left_out"].startswith("adamw_8bit")
    document = summary.write(given, ("correct", "table7", "training_memory"), "the command")
    assert json.loads((given.out / "summary.json").read_text()) == json.loads(json.dumps(document))
    text = (given.out / "summary.md").read_text()
    assert "tiny: haop" in text
    assert "no figure means anything" in text


def test_training_ends_with_a_model_and_goes_on_from_it(tmp_path) -> None:
    given = setting(tmp_path)
    drawing.draw(given, 0)
    without_scores = [figure for figure in train.figures(given) if figure.name != "scores"]
    found = made(given, "train", without_scores)
    assert {name: one["status"] for name, one in found.items()} == dict.fromkeys(found, "done")
    assert [name for name in found if name.startswith("stage")] == ["stage codec", "stage image", "stage video"]
    assert found["stage video"]["values"]["steps"] == 4
    assert found["model"]["values"]["largest_file"] < 15_000_000
    with tarfile.open(given.out / "model-1.tar") as archive:
        assert "model/unet/config.json" in archive.getnames()
    # The next invocation begins a round from that model, and leaves the codec.
    names = [figure.name for figure in train.figures(given)]
    assert names == ["data", "paces", "stage image", "stage video", "model", "scores"]


def test_a_stage_out_of_time_ends_at_its_newest_checkpoint(tmp_path) -> None:
    given = setting(tmp_path)
    drawing.draw(given, 0)
    work = train._Work(given)
    work.data()
    work.paces()
    run = work._round.run("codec")
    run.begin(dataclasses.replace(work._plan("codec", 1.0), save_every=1))
    assert run.recipe is not None
    stage = run.recipe.codec_stage
    assert stage is not None
    seen: list[int] = []

    class Clock:
        """Runs out after the second step."""

        def __lt__(self, now: float) -> bool:
            seen.append(1)
            return len(seen) > 2

    found = run.go(until=Clock())  # type: ignore[arg-type]
    assert found["cut_short"] is True
    assert found["steps"] < stage.steps
    assert run.finished
