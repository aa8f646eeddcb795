"""Losses and previews arrive in TensorBoard's files, steps made twice once."""

import dataclasses
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_training import dancers, tiny

from idol_model import watching
from idol_model.run_state import Progress
from idol_model.training import TrainOptions, train


class Broken(Exception):
    """Where a kill would come."""


def watched(folder: Path, *, stop_at: int | None = None) -> None:
    def report(progress: Progress) -> None:
        if (progress.stage, progress.done) == ("image", stop_at):
            raise Broken

    recipe = tiny(codec_stage=None, cached=False)
    recipe = dataclasses.replace(recipe, sampling=dataclasses.replace(recipe.sampling, steps=2))
    how = TrainOptions(device="cpu", report=report, preview_every=4, watchers=("tensorboard",), command=["test"])
    train(recipe, dancers(), folder, how)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_has_each_step_once_though_some_were_made_twice(tmp_path) -> None:
    with pytest.raises(Broken):
        watched(tmp_path, stop_at=4)
    watched(tmp_path)
    image = read(tmp_path / "tensorboard" / "image")
    assert [event.step for event in image.Scalars("total")] == [1, 2, 3, 4]
    assert [event.step for event in image.Scalars("depth_mse")] == [4]
    assert image.Images("preview")[0].width == 7 * 32
    video = read(tmp_path / "tensorboard" / "video")
    assert {"total", "motion", "xattn", "lr", "denoise_depth", "grad_share_motion", "grad_share_xattn"} <= set(
        video.Tags()["scalars"]
    )


def test_watchers_that_are_not_here_are_said() -> None:
    with pytest.raises(ValueError, match="watcher 'tensorbord': unknown; choose from tensorboard, wandb, none"):
        watching.check_present(["tensorbord"])  # pyright: ignore[reportArgumentType]
