"""Part *training_memory*: what a training step really holds, against what ``idol train --dry-run`` counts."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

from benchmarks.gpu import models, plans
from benchmarks.gpu.figures import Figure
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.steps import Stepper
from benchmarks.gpu.timing import peak, reset_peak, seconds, timed
from idol_model.recipe import Recipe

WITHIN = 0.1
"""Goal: the measured peak lies so near the count, as a share of the count."""


def figures(setting: Setting) -> Iterator[Figure]:
    """Every stage of the recipes, the one that must fit in 24 GB first."""
    for recipe in plans.pieces(setting):
        yield Figure(f"{recipe.name}, stage {recipe.stages[0].name}", partial(stage, setting, recipe), 12)


def stage(setting: Setting, recipe: Recipe) -> dict[str, Any]:
    """Peak and speed of real steps: objective, engine, optimiser; a batch of noise in place of data.

    Without bitsandbytes a step of its optimiser cannot be made: plain descent takes its place, and the bytes that are
    counted for its state are left out of the count.
    """
    plan = plans.counted(setting, recipe)
    missing = recipe.optimizer == "adamw_8bit" and find_spec("bitsandbytes") is None
    run = dataclasses.replace(recipe, optimizer="sgd") if missing or _unusable(recipe, setting) else recipe
    only = recipe.stages[0]
    samples = recipe.memory.micro_batch or 1
    model = models.random_model(run, setting.device)
    stepper = Stepper(run, only, model, samples, setting.device)
    stepper.step()
    reset_peak(setting.device)
    piece = timed(stepper.piece, setting.device, runs=3, warmup=1, most=6)
    move = seconds(stepper.move, setting.device)
    stepper.step()
    measured, expected = peak(setting.device), plan["total"] - (plan["optimizer"] if run is not recipe else 0)
    found = {
        "samples_at_once": samples,
        "frames": only.frames,
        "precision": run.precision,
        "optimizer": run.optimizer,
        "peak_gb": measured / 1e9,
        "counted_gb": expected / 1e9,
        "ratio": measured / expected,
        "with_its_optimizer_gb": (measured - expected + plan["total"]) / 1e9,
        "count": plan,
        "seconds_of_a_piece": piece.seconds,
        "seconds_of_the_optimizer": move,
        "samples_per_second": _rate(only.batch_size, samples, piece.seconds, move),
    }
    if run is not recipe:
        found["left_out"] = (
            f"{recipe.optimizer}: bitsandbytes is not to be had here; its state is counted, not measured"
        )
    return found | ({"passed": abs(found["ratio"] - 1) <= WITHIN} if setting.on_gpu else {})


def _unusable(recipe: Recipe, setting: Setting) -> bool:
    """bitsandbytes steps on GPUs."""
    return recipe.optimizer == "adamw_8bit" and not setting.on_gpu


def _rate(batch: int, samples: int, piece: float, move: float) -> float:
    """Windows a second of whole steps: the optimiser moves once for all pieces of a batch."""
    return batch / (batch / samples * piece + move)
