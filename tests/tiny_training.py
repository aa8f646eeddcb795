"""A few synthetic dancers and the smallest run that has every phase: codec, images, video."""

import atexit
import dataclasses
import functools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from idol_model import recipes
from idol_model.feed.training_data import DataPart
from idol_model.recipe import CodecStage, Recipe
from idol_model.run_state import Progress
from idol_model.training import TrainOptions, train
from idol_prep.sources import synthetic

CLIPS, FRAMES = 4, 10
Data = Path | Sequence[DataPart]


@functools.cache
def dancers(seed: int = 3) -> Path:
    """A prepared dataset of `CLIPS` training clips, 32 x 32, made once a session."""
    folder = Path(tempfile.mkdtemp(prefix="idol-dancers-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    synthetic.generate(folder, CLIPS, seed, size=(32, 32), frames=FRAMES)
    return folder


def tiny(*, cached: bool = True, steps: int = 4, **changes) -> Recipe:
    """The debug recipe, shorter still; each stage saves once halfway."""
    recipe = recipes.get("debug")
    stages = tuple(dataclasses.replace(stage, steps=steps, cache_latents=cached) for stage in recipe.stages)
    shorter = {
        "codec_stage": CodecStage(steps=steps, batch_size=8, pictures=32),
        "stages": stages,
        "save_every": max(1, steps // 2),
    }
    return dataclasses.replace(recipe, **{**shorter, **changes})


class Stop(Exception):
    """Raised by a report to end a run where a kill would."""


def run(recipe: Recipe, folder: Path, *, stop_at: tuple[str, int] | None = None, data: Data | None = None) -> Path:
    """Train in ``folder``; at ``stop_at`` (stage, steps) the run breaks off with `Stop`."""

    def report(progress: Progress) -> None:
        if (progress.stage, progress.done) == stop_at:
            raise Stop

    return train(recipe, data or dancers(), folder, TrainOptions(device="cpu", report=report, command=["test"]))
