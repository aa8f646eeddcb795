"""What a run folder says of its run, read from outside: nothing is written, and the training is not disturbed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout

from idol_model import run_state
from idol_model.recipe import Recipe
from idol_model.run_state import LOCK, RunFolder

State = Literal["training", "stopped", "finished"]
_RECENT = 50
"""Logged steps that the rate is the median of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """One stage: ``done`` of ``steps`` are logged."""

    name: str
    done: int
    steps: int
    seconds_a_step: float | None = None
    """Median of the newest logged steps; None before the first."""

    @property
    def seconds_left(self) -> float | None:
        """At that rate."""
        return None if self.seconds_a_step is None else (self.steps - self.done) * self.seconds_a_step


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run from outside. ``terms`` are the losses of the last logged step, ``preview`` the newest line of its kind."""

    path: Path
    recipe: str
    state: State
    stages: tuple[StageStatus, ...]
    checkpoint: str | None
    """The newest one on disk, by name; its content is not checked here."""
    terms: Mapping[str, float] = field(default_factory=dict)
    lr: float | None = None
    preview: Mapping[str, Any] | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)


def read_status(path: Path) -> RunStatus:
    """The state of the run in ``path``.

    Raises:
        FileNotFoundError: there is no run.
        RunMismatch: it is a run of another version.
    """
    if not (path / "recipe.json").is_file():
        raise FileNotFoundError(f"{path}: holds no run (no recipe.json); name a folder that `idol train` wrote")
    run = RunFolder(path)
    lines, last = _lines(path / "log.jsonl"), {}
    if lines:
        last = lines[-1]
    previews = _lines(path / "previews.jsonl")
    recipe = run.recipe()
    return RunStatus(
        path=path,
        recipe=recipe.name,
        state=_state(run),
        stages=tuple(_stage(name, steps, lines, index) for index, name, steps in _plan(recipe)),
        checkpoint=_newest(run.checkpoints),
        terms={name: value for name, value in last.items() if name not in _NO_TERMS},
        lr=last.get("lr"),
        preview=previews[-1] if previews else None,
        origin=json.loads((path / "run.json").read_text(encoding="utf-8")),
    )


_NO_TERMS = ("stage", "stage_index", "step", "lr", "seconds")


def _plan(recipe: Recipe) -> list[tuple[int, str, int]]:
    """Number, name and steps of every stage, the codec's first."""
    codec = [] if recipe.codec_stage is None else [(0, "codec", recipe.codec_stage.steps)]
    return codec + [(index, stage.name, stage.steps) for index, stage in enumerate(recipe.stages, 1)]


def _stage(name: str, steps: int, lines: list[dict[str, Any]], index: int) -> StageStatus:
    own = [line for line in lines if line["stage_index"] == index]
    seconds = [line["seconds"] for line in own[-_RECENT:]]
    return StageStatus(
        name=name,
        done=own[-1]["step"] if own else 0,
        steps=steps,
        seconds_a_step=float(np.median(seconds)) if seconds else None,
    )


def _state(run: RunFolder) -> State:
    if run.finished:
        return "finished"
    if not (run.path / LOCK).exists():
        return "stopped"
    try:
        with FileLock(run.path / LOCK, timeout=0):
            return "stopped"
    except Timeout:
        return "training"


def _newest(checkpoints: Path) -> str | None:
    found = [path for path in checkpoints.glob("*/state.json") if not path.parent.name.startswith(".")]
    return max(found, key=lambda path: path.stat().st_mtime).parent.name if found else None


def _lines(path: Path) -> list[dict[str, Any]]:
    return run_state.whole_lines(path) if path.exists() else []
