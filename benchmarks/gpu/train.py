"""Part *train*: the recipe of the shipped checkpoint on drawn dancers, in the time that is left, and its scores."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from benchmarks.gpu import drawing, models, rounds, schedule, shipping
from benchmarks.gpu.figures import Figure, Skip
from benchmarks.gpu.ledger import read
from benchmarks.gpu.rounds import Round
from benchmarks.gpu.schedule import Pace
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.steps import Stepper, codec_stage
from benchmarks.gpu.timing import seconds
from idol_model import recipes
from idol_model.recipe import Recipe

BATCHES = {"codec": (32, 64), "image": (32, 64, 128), "video": (4, 8, 16)}
_TOY_BATCHES = {"codec": (4,), "image": (2,), "video": (1,)}
_PICTURES = 2048
"""That the codec is trained on: reading more from the clips would take half a minute of the GPU's."""
_LAST = 45.0
"""Seconds kept for the finished model and its scores."""
METRICS = "depth,silhouette,psnr,ssim,alignment,temporal"
"""What needs no weights."""


def figures(setting: Setting) -> Iterator[Figure]:
    """From data to scores."""
    work = _Work(setting)
    yield Figure("data", work.data)
    yield Figure("paces", work.paces, 20 if setting.on_gpu else 1)
    for name in work.stages:
        yield Figure(f"stage {name}", partial(work.stage, name), 8 if setting.on_gpu else 1)
    yield Figure("model", partial(finished_model, setting), 0)
    yield Figure("scores", partial(scores, setting), 5)


def recipe(setting: Setting) -> Recipe:
    """``demo`` in bf16 where the device has it; ``debug`` in a rehearsal."""
    if setting.rehearse:
        return recipes.get("debug")
    low = setting.on_gpu and torch.cuda.is_bf16_supported()
    return dataclasses.replace(recipes.get("demo"), precision="bf16" if low else "fp32")


class _Work:
    """One invocation's training: a round is begun, or the one that was broken off goes on."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._recipe = setting, recipe(setting)
        self._end = setting.until - min(_LAST, 0.25 * setting.left)
        known = read(setting.work / "train.json").get("paces", {}).get("values", {})
        self._paces = {name: Pace(**found["chosen"]) for name, found in known.items()}
        self._round = Round.current(setting)
        self.stages = self._round.stages

    def data(self) -> dict[str, Any]:
        """What was drawn so far; it stays as it is from here on."""
        found = drawing.drawn(self._setting)
        if not found:
            raise Skip("no clip was drawn; the parts before were too short, or workers failed (see drawing-*.log)")
        drawing.freeze(self._setting)
        return {"parts": len(found), "clips": sum(found.values()), "round": self._round.number}

    def paces(self) -> dict[str, Any]:
        """A short search: seconds of a step by batch size, for every stage that is ahead."""
        batches = _TOY_BATCHES if self._setting.rehearse else BATCHES
        said = {}
        for name in self.stages:
            if self._round.run(name).is_begun:
                continue
            self._paces[name], tried = schedule.best(batches[name], partial(self._seconds, name))
            said[name] = {"chosen": asdict(self._paces[name]), "tried": {pace.batch: pace.seconds for pace in tried}}
        return said

    def _seconds(self, name: str, batch: int) -> float:
        own = self._recipe
        known = {stage.name: stage for stage in own.stages}
        stage = schedule.scaled(known[name], batch) if name in known else codec_stage(own)
        model = models.random_model(own, self._setting.device)
        stepper = Stepper(own, stage, model, batch, self._setting.device)
        stepper.step()
        found = min(seconds(stepper.step, self._setting.device) for _ in range(1 if self._setting.rehearse else 4))
        stepper.descent.close()
        return found

    def stage(self, name: str) -> dict[str, Any]:
        """Train one stage for its share of the time; stopped at 1.1 times that, it ends where it stands."""
        run = self._round.run(name)
        if run.finished:
            return {"finished": True, "earlier": True}
        left = self._end - time.time()
        share = schedule.SHARES[name] * left
        if not run.is_begun:
            run.begin(self._plan(name, share))
        if name == "image":  # the video stage finds the same caches
            run.cache()
        found = run.go(until=time.time() + (1.1 * share if name != self.stages[-1] else left))
        return found | {"share_seconds": share}

    def _plan(self, name: str, share: float) -> Recipe:
        if name not in self._paces:
            raise Skip("its pace was not measured")
        pace = self._paces[name]
        count = 2 if self._setting.rehearse else schedule.steps(pace, share)
        if name == "codec":
            return schedule.codec_run(self._recipe, pace, count, 64 if self._setting.rehearse else _PICTURES)
        return schedule.stage_run(self._recipe, name, pace, count, str(self._round.before(name)))


def finished_model(setting: Setting) -> dict[str, Any]:
    """The newest weights as a checkpoint to take home."""
    newest = rounds.newest_model(setting)
    if newest is None:
        raise Skip("no stage has made a model yet")
    return shipping.ship(newest, setting)


def scores(setting: Setting) -> dict[str, Any]:
    """``idol bench`` on the held-out dancers, with the metrics that need no weights."""
    model = setting.work / "model"
    if not model.is_dir():
        raise Skip("there is no model")
    options = ["--ckpt", str(model), "--data", str(drawing.held_out(setting)), "--metrics", METRICS, "--json"]
    options += ["--no-complexity", "--paper", "0", "--bootstrap", "0", "-o", str(setting.work / "bench")]
    options += ["--device", "cuda" if setting.on_gpu else "cpu"]
    command = [sys.executable, "-m", "benchmarks.gpu", "--job", "idol", "--", "bench", *options]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=max(5.0, setting.left - 2), check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else "idol bench failed")
    return {"command": "idol " + " ".join(["bench", *options[4:6]]), "rows": rows(json.loads(answer.stdout))}


def rows(document: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Names and numbers of a bench document's rows."""
    return {
        row["name"]: {key: value for key, value in row["values"].items() if value is not None}
        for row in document["rows"]
    }
