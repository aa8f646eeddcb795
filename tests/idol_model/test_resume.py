"""A run that was killed ends as the run that was not, bit for bit, and logs the same."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import Stop, dancers, run, tiny

from idol_model.run_state import Progress, Report
from idol_model.stopping import TrainingInterrupted
from idol_model.training import TrainOptions, train

KILLED = """
import os, signal, sys
from pathlib import Path
from idol_model.recipe import Recipe
from idol_model.training import TrainOptions, train
import json
recipe, data, folder, stage, done = sys.argv[1:]
def report(progress):
    if (progress.stage, progress.done) == (stage, int(done)):
        os.kill(os.getpid(), signal.SIGKILL)
train(Recipe.from_dict(json.loads(recipe)), Path(data), Path(folder), TrainOptions(device="cpu", report=report))
"""
POINTS = (("codec", 7), ("latents", 2), ("image", 5), ("image", 8), ("video", 1), ("video", 10))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 10 steps a stage."""
    folder = tmp_path_factory.mktemp("whole")
    run(tiny(steps=10), folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted((folder / "model").glob("*/*.safetensors"))
    return {f"{file.parent.name}.{name}": value for file in files for name, value in load_file(file).items()}


def log(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def assert_same(folder: Path, whole: Path) -> None:
    ours, theirs = weights(folder), weights(whole)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert log(folder) == log(whole)


@pytest.mark.slow  # a signal and a kill do the same in `make test`
def test_stopped_again_and_again_it_ends_bit_for_bit_the_same(tmp_path, whole):
    for stop_at in POINTS:
        with pytest.raises(Stop):
            run(tiny(steps=10), tmp_path, stop_at=stop_at)
    run(tiny(steps=10), tmp_path)
    assert_same(tmp_path, whole)


def test_killed_by_the_system_it_continues_in_a_new_process(tmp_path, whole):
    recipe = json.dumps(tiny(steps=10).to_dict())
    command = [sys.executable, "-c", KILLED, recipe, str(dancers()), str(tmp_path), "video", "6"]
    killed = subprocess.run(command, env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    run(tiny(steps=10), tmp_path)
    assert_same(tmp_path, whole)


def interrupting(point: tuple[str, int], number: int) -> Report:
    def report(progress: Progress) -> None:
        if (progress.stage, progress.done) == point:
            os.kill(os.getpid(), number)

    return report


def test_a_signal_saves_where_the_run_stands_and_it_goes_on_bit_for_bit(tmp_path, whole):
    recipe, kept = tiny(steps=10), tmp_path / "checkpoints"
    for (stage, step), number in ((("codec", 3), signal.SIGINT), (("video", 7), signal.SIGTERM)):
        options = TrainOptions(device="cpu", report=interrupting((stage, step), number), command=["test"])
        with pytest.raises(
            TrainingInterrupted, match=f"stopped after step {step + 1} of 10 of stage {stage}"
        ) as caught:
            train(recipe, dancers(), tmp_path, options)
        assert caught.value.exit_code == 128 + number
        assert (kept / f"{stage}-00000{step + 1}" / "state.json").exists()
    run(recipe, tmp_path)
    assert_same(tmp_path, whole)


def test_a_damaged_newest_checkpoint_costs_steps_and_nothing_else(tmp_path, whole):
    with pytest.raises(Stop):
        run(tiny(steps=10), tmp_path, stop_at=("video", 6))
    newest = tmp_path / "checkpoints" / "video-000005" / "ema.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="video-000005"):
        run(tiny(steps=10), tmp_path)
    assert_same(tmp_path, whole)


def test_a_finished_run_is_left_as_it_is(whole):
    stamp = (whole / "model" / "recipe.json").stat().st_mtime_ns
    assert run(tiny(steps=10), whole) == whole / "model"
    assert (whole / "model" / "recipe.json").stat().st_mtime_ns == stamp
