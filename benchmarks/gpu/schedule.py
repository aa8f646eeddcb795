"""How the time that is left becomes steps: batches as large as pays, each stage its share."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from idol_model.recipe import CodecStage, Recipe, Stage

SHARES = {"codec": 0.14, "image": 0.70, "video": 1.0}
"""Of what is left when the stage begins."""
GAIN = 1.15
"""A batch of twice the size pays where it makes so many times the samples a second."""
SAFETY = 0.9
"""Steps that are planned, of those that the measured rate would give."""
SAVE_EVERY = 30.0
"""Seconds between checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A batch size and what a step of it takes."""

    batch: int
    seconds: float

    @property
    def samples_per_second(self) -> float:
        """How much of the data goes by."""
        return self.batch / self.seconds


def best(batches: Sequence[int], measure: Callable[[int], float]) -> tuple[Pace, list[Pace]]:
    """The largest batch that pays, and all that was tried: sizes rise until one gains too little, or has no room."""
    tried: list[Pace] = []
    for batch in batches:
        try:
            pace = Pace(batch=batch, seconds=measure(batch))
        except RuntimeError as error:  # torch's OutOfMemoryError is one
            if "memory" not in str(error) or not tried:
                raise
            break
        if tried and pace.samples_per_second < GAIN * tried[-1].samples_per_second:
            return tried[-1], [*tried, pace]
        tried.append(pace)
    return tried[-1], tried


def steps(pace: Pace, seconds: float) -> int:
    """How many steps are planned for so many seconds."""
    return max(2, math.floor(SAFETY * seconds / pace.seconds))


def save_every(pace: Pace) -> int:
    """Steps between checkpoints."""
    return max(1, round(SAVE_EVERY / pace.seconds))


def codec_run(recipe: Recipe, pace: Pace, count: int, pictures: int) -> Recipe:
    """The recipe's codec alone."""
    stage = recipe.codec_stage
    assert stage is not None
    few = CodecStage(
        steps=count,
        batch_size=pace.batch,
        lr=stage.lr,
        warmup=stage.warmup,
        edge_weight=stage.edge_weight,
        pictures=min(pictures, stage.pictures),
    )
    return dataclasses.replace(recipe, codec_stage=few, stages=(), save_every=save_every(pace))


def stage_run(recipe: Recipe, name: str, pace: Pace, count: int, begins_from: str) -> Recipe:
    """One diffusion stage alone, from the model that the one before it left."""
    stage = scaled(next(stage for stage in recipe.stages if stage.name == name), pace.batch)
    stages = (dataclasses.replace(stage, steps=count),)
    return dataclasses.replace(
        recipe, codec_stage=None, stages=stages, save_every=save_every(pace), init_from=begins_from
    )


def scaled(stage: Stage, batch: int) -> Stage:
    """The stage with another batch: its rate grows with the root of the batch, to twice itself at most."""
    factor = min(2.0, (batch / stage.batch_size) ** 0.5)
    return dataclasses.replace(stage, batch_size=batch, lr=stage.lr * max(1.0, factor))
