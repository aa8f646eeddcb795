"""One step, however it is divided: two processes, pieces, shared weights, blocks computed again."""

import dataclasses
import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from forked import train_forked
from several_processes import train_in_processes
from tiny_training import Stop, dancers, run, tiny

from idol_model import checkpoint, engines, optimizers
from idol_model.division import Division
from idol_model.foreground import ClipForegroundConfig
from idol_model.recipe import MemoryConfig, Recipe, Stage
from idol_model.run_state import Progress
from idol_model.stopping import TrainingInterrupted
from idol_model.training import TrainOptions

STEPS = 5
"""Of each of two stages."""
DEEPSPEED = pytest.param(
    "deepspeed", marks=pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed is not installed")
)


def plain_sgd(*, cached: bool = True, **memory) -> Recipe:
    """Both diffusion stages by plain gradient descent, no codec, four samples a step, an encoder with a frozen part."""
    clip = ClipForegroundConfig(tokens=16, hidden=16, layers=1, heads=2, patch=8, size=16)
    recipe = tiny(codec_stage=None, cached=cached, foreground=clip)
    own = tuple(
        dataclasses.replace(
            stage, steps=STEPS, batch_size=4, lr=0.05, weight_decay=0.0, warmup=0.0, clip_norm=1.0, ema=0.5
        )
        for stage in recipe.stages
    )
    return dataclasses.replace(recipe, stages=own, optimizer="sgd", memory=MemoryConfig(**memory), save_every=3)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    saved = checkpoint.newest(folder / "checkpoints")
    assert saved is not None
    return saved.tensors("model")


def terms(folder: Path) -> torch.Tensor:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return torch.tensor([line["total"] for line in lines], dtype=torch.float64)


def cache(folder: Path) -> dict[str, bytes]:
    """The one latent cache of a run, which its stages share: names and bytes of its files."""
    (made,) = [path for path in (folder / "latents").iterdir() if path.is_dir()]
    return {f"{made.name}/{file.name}": file.read_bytes() for file in made.iterdir()}


def assert_same_log(folder: Path, whole: Path) -> None:
    """Losses and the terms' shares of the gradient are those of the undivided run."""
    torch.testing.assert_close(terms(folder), terms(whole), rtol=1e-6, atol=1e-9)
    ours, theirs = shares(folder), shares(whole)
    assert [list(line) for line in theirs] == [["xattn"]] * STEPS + [["xattn", "motion"]] * STEPS
    for own, line in zip(ours, theirs, strict=True):
        assert own == pytest.approx(line, rel=1e-4)


def shares(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    prefix = "grad_share_"
    return [{name.removeprefix(prefix): v for name, v in line.items() if name.startswith(prefix)} for line in lines]


def distance(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """The largest difference of a weight, relative to the largest weight of its tensor."""
    assert ours.keys() == theirs.keys()
    return max(((ours[n] - theirs[n]).abs().max() / theirs[n].abs().max().clamp(min=1e-3)).item() for n in ours)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, the whole step at once."""
    folder = tmp_path_factory.mktemp("whole")
    run(plain_sgd(), folder)
    return folder


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:FSDP2-wrapped module .*:UserWarning")
@pytest.mark.parametrize("engine", ["ddp", "fsdp", DEEPSPEED])
def test_two_processes_equal_one(engine: str, whole: Path, tmp_path: Path) -> None:
    options = TrainOptions(device="cpu", engine=engine, command=["test"])
    ended = train_forked(plain_sgd(), dancers(), tmp_path / "run", lambda rank: options)
    assert ended == [tmp_path / "run" / "model"] * 2
    assert_same_log(tmp_path / "run", whole)
    assert distance(weights(tmp_path / "run"), weights(whole)) < 1e-5
    assert cache(tmp_path / "run") == cache(whole)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ddp", "fsdp", DEEPSPEED])
def test_two_processes_that_encode_on_the_way_equal_one(engine: str, whole: Path, tmp_path: Path) -> None:
    ended = train_in_processes(plain_sgd(cached=False), dancers(), tmp_path / "run", engine=engine)
    assert ended.returncode == 0, ended.stderr
    assert distance(weights(tmp_path / "run"), weights(whole)) < 1e-4


@pytest.mark.parametrize("size", [1, 3])
def test_a_step_in_pieces_equals_the_whole(size: int, whole: Path, tmp_path: Path) -> None:
    run(plain_sgd(micro_batch=size), tmp_path)
    assert_same_log(tmp_path, whole)
    assert distance(weights(tmp_path), weights(whole)) < 1e-5


def test_blocks_computed_again_give_the_same_weights(whole: Path, tmp_path: Path) -> None:
    run(plain_sgd(recompute=True), tmp_path)
    assert_same_log(tmp_path, whole)
    assert distance(weights(tmp_path), weights(whole)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fsdp", DEEPSPEED])
def test_what_one_engine_saved_another_continues(engine: str, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = train_in_processes(plain_sgd(), dancers(), folder, engine=engine, stop_after=4)
    assert first.returncode == 0, first.stderr
    with pytest.raises(Stop):
        run(plain_sgd(), folder, stop_at=("video", 4))
    last = train_in_processes(plain_sgd(), dancers(), folder, engine=engine)
    assert last.returncode == 0, last.stderr
    assert distance(weights(folder), weights(whole)) < 1e-5
    assert (folder / "model" / "model_index.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("engine", [DEEPSPEED])
@pytest.mark.parametrize("memory", [{"micro_batch": 1, "recompute": True}, {"micro_batch": 1, "offload": True}])
def test_two_processes_in_pieces_equal_one(engine: str, memory: dict, whole: Path, tmp_path: Path) -> None:
    ended = train_in_processes(plain_sgd(**memory), dancers(), tmp_path / "run", engine=engine)
    assert ended.returncode == 0, ended.stderr
    assert_same_log(tmp_path / "run", whole)
    assert distance(weights(tmp_path / "run"), weights(whole)) < 1e-5


def test_a_step_is_divided_without_rest() -> None:
    shares = [Division(rank, 3, MemoryConfig(micro_batch=2)).pieces(12, "video") for rank in range(3)]
    assert shares[1] == [range(4, 6), range(6, 8)]
    assert sorted(place for share in shares for piece in share for place in piece) == list(range(12))
    by_stage = Division(0, 2, MemoryConfig(micro_batch={"image": 3, "video": 1}))
    assert [len(piece) for piece in by_stage.pieces(8, "image")] == [3, 1]
    assert [len(piece) for piece in by_stage.pieces(8, "video")] == [1, 1, 1, 1]
    assert [len(piece) for piece in by_stage.pieces(8, "codec")] == [4]
    with pytest.raises(ValueError, match="stage video: batch_size=8 cannot be shared out evenly over 3 processes"):
        Division(0, 3).pieces(8, "video")


def test_one_process_shares_with_nobody() -> None:
    with pytest.raises(ValueError, match="engine fsdp: shares weights among processes, and there is one"):
        engines.start("fsdp", Recipe(name="r", summary="s", stages=(Stage(name="image", steps=1),)), "cpu")


def test_moments_of_eight_bits_are_saved_and_continued(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    recipe = tiny(codec_stage=None, optimizer="adamw_8bit")
    with pytest.raises(Stop):
        run(recipe, tmp_path / "cut", stop_at=("video", 3))
    saved = checkpoint.newest(tmp_path / "cut" / "checkpoints")
    assert saved is not None
    state = saved.tensors("optimizer")
    assert any(value.dtype == torch.uint8 for value in state.values())
    assert all(value == 2 for name, value in state.items() if name.endswith("/step"))
    run(recipe, tmp_path / "cut")
    run(recipe, tmp_path / "whole")
    ours, theirs = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_optimiser_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="optimizer=adamw_8bit: needs bitsandbytes; pip install bitsandbytes, or set"):
        optimizers.check_present("adamw_8bit")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_signal_to_one_process_stops_all_at_the_same_step(tmp_path: Path) -> None:
    def options(rank: int) -> TrainOptions:
        def report(progress: Progress) -> None:
            if (rank, progress.stage, progress.done) == (1, "image", 1):
                os.kill(os.getpid(), signal.SIGTERM)

        return TrainOptions(device="cpu", report=report, command=["test"])

    said = train_forked(plain_sgd(), dancers(), tmp_path / "run", options)
    assert [type(one) for one in said] == [TrainingInterrupted] * 2
    assert {str(one) for one in said} == {str(said[0])}
    assert "stopped after step 2 of 5 of stage image; saved in" in str(said[0])
    assert said[1].exit_code == 128 + signal.SIGTERM
    saved = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert saved is not None
    assert (saved.position.stage, saved.position.step) == ("image", 2)
