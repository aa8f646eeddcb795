"""The parts of the GPU benchmark at the smallest size, on the CPU, as figures in their files."""

import dataclasses
import json
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from benchmarks.gpu import correct, drawing, generating, summary, table7, train, training_memory
from benchmarks.gpu.figures import Figure, make_all
from benchmarks.gpu.ledger import Ledger, read
from benchmarks.gpu.setting import Setting


def setting(tmp_path: Path) -> Setting:
    until = time.time() + 200
    own = {"out": tmp_path / "out", "work": tmp_path / "work", "recipes": ("haop",)}
    return Setting(device="cpu", until=until, rehearse=True, **own)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """The work folder of a worker that has drawn."""
    given = setting(tmp_path_factory.mktemp("drawn"))
    drawing.draw(given, 0)
    return given.work


def copied(work: Path, tmp_path: Path) -> Setting:
    """A setting of its own with that worker's clips."""
    given = setting(tmp_path)
    shutil.copytree(work, given.work)
    return given


def made(given: Setting, part: str, figures: list[Figure]) -> dict:
    """What is in the part's file afterwards."""
    assert make_all(figures, Ledger(given.work / f"{part}.json"), given) == 0
    return read(given.work / f"{part}.json")


def test_correct_and_table_write_their_figures(tmp_path) -> None:
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
    document = summary.write(given, ("correct", "table7"), "the command")
    assert json.loads((given.out / "summary.json").read_text()) == json.loads(json.dumps(document))
    assert document["goals"] == []
    text = (given.out / "summary.md").read_text()
    assert "tiny: haop" in text
    assert "no figure means anything" in text


def test_the_shipped_checkpoint_generates_in_both_types() -> None:
    errors = generating.shipped_errors("cpu", frames=1, steps=1)
    assert errors["fp32"] == 0
    assert 0 < errors["bf16"] < 2e-2


@pytest.mark.slow
def test_memory_is_measured_beside_its_count(tmp_path) -> None:
    given = setting(tmp_path)
    chosen = [figure for figure in training_memory.figures(given) if figure.name == "idol, stage image"]
    held = made(given, "training_memory", chosen)["idol, stage image"]["values"]
    assert held["samples_per_second"] > 0
    assert held["counted_gb"] == held["count"]["total"] / 1e9 > 0
    assert (held["samples_at_once"], held["optimizer"]) == (1, "adamw")


def test_training_ends_with_a_model_and_goes_on_from_it(drawn, tmp_path) -> None:
    given = copied(drawn, tmp_path)
    without_scores = [figure for figure in train.figures(given) if figure.name != "scores"]
    found = made(given, "train", without_scores)
    assert {name: one["status"] for name, one in found.items()} == dict.fromkeys(found, "done")
    assert [name for name in found if name.startswith("stage")] == ["stage codec", "stage image", "stage video"]
    assert found["stage video"]["values"]["steps"] == 2
    assert found["model"]["values"]["largest_file"] < 15_000_000
    with tarfile.open(given.out / "model-1.tar") as archive:
        assert "model/unet/config.json" in archive.getnames()
    # The next invocation begins a round from that model, and leaves the codec.
    names = [figure.name for figure in train.figures(given)]
    assert names == ["data", "paces", "stage image", "stage video", "model", "scores"]


def test_a_stage_out_of_time_ends_at_its_newest_checkpoint(drawn, tmp_path) -> None:
    given = copied(drawn, tmp_path)
    work = train._Work(given)
    work.data()
    work.paces()
    run = work._round.run("codec")
    planned = work._plan("codec", 1.0)
    assert planned.codec_stage is not None
    longer = dataclasses.replace(planned.codec_stage, steps=5)
    run.begin(dataclasses.replace(planned, codec_stage=longer, save_every=1))
    seen: list[int] = []

    class Clock:
        """Runs out after the first step, at the end of the next."""

        def __lt__(self, now: float) -> bool:
            seen.append(1)
            return len(seen) > 1

    found = run.go(until=Clock())  # type: ignore[arg-type]
    assert found["cut_short"] is True
    assert 1 <= found["steps"] < 5
    assert run.finished
