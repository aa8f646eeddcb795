"""Runs of part *train*: a round is codec, image stage, video stage, each a run of its own from the one before.

A run of its own, so that each stage's length can follow from the time that is really left when it begins. A round that
was broken off goes on; after a finished one, the next begins from its model and leaves the codec as it is.
"""

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu import drawing, shipping
from benchmarks.gpu.setting import Setting
from idol_model import checkpoint
from idol_model.feed.training_data import DataPart
from idol_model.recipe import Recipe
from idol_model.run_state import Progress, RunFolder, write_json
from idol_model.training import TrainOptions, train

_WORKERS = 14
"""Processes that read and encode clips at once; each has a context on the GPU."""


@dataclass(slots=True)
class Run:
    """One stage's run folder."""

    path: Path
    setting: Setting
    recipe: Recipe | None = field(default=None)

    @property
    def is_begun(self) -> bool:
        """Whether its recipe is fixed already."""
        return (self.path / "recipe.json").is_file()

    @property
    def finished(self) -> bool:
        """Whether its model is there."""
        return RunFolder(self.path).finished

    def begin(self, recipe: Recipe) -> None:
        """Fix what will be trained."""
        self.recipe = recipe

    def planned(self) -> Recipe:
        """What is trained: as the run was begun, or as it will be."""
        return RunFolder(self.path).recipe() if self.is_begun else _known(self.recipe)

    def parts(self) -> list[DataPart]:
        """The drawn clips, each worker's weighing as many as it has."""
        return [DataPart(Path(folder), float(clips)) for folder, clips in drawing.drawn(self.setting).items()]

    def latents(self) -> Path:
        """Caches that the stages of a round share."""
        return self.setting.work / "latents"

    def cache(self) -> None:
        """Encode the clips in several processes; what they do not manage, training makes up for by itself."""
        write_json(self.path.with_suffix(".recipe.json"), self.planned().to_dict())
        folders = [str(part.path) for part in self.parts()]
        if len(folders) == 1:
            return  # one process makes it, and training is one
        shares = [folders[first::_WORKERS] for first in range(min(_WORKERS, len(folders)))]
        command = [sys.executable, "-m", "benchmarks.gpu", "--job", "cache", *self.setting.arguments(), "--"]
        own = [str(self.path)]
        started = [subprocess.Popen([*command, *own, *share]) for share in shares]
        for process in started:
            process.wait(timeout=max(1.0, self.setting.left))

    def go(self, until: float) -> dict[str, Any]:
        """Train to the end, or to ``until`` (`time.time`), and finish with what is there then."""
        recipe, began = self.planned(), time.time()
        last: dict[str, Any] = {}
        asked: list[int] = []

        def report(at: Progress) -> None:
            if at.terms:
                last.update(step=at.done, terms=dict(at.terms), seconds_of_a_step=at.seconds)
                # Once: the training saves the step that it is at and ends, and a second one would not let it.
                if not asked and time.time() > until:
                    asked.append(at.done)
                    signal.raise_signal(signal.SIGINT)

        # As a Ctrl-C would end it; whoever started this process may have had that ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self._train(recipe, report)
            cut = False
        except KeyboardInterrupt:
            cut = True
            if not self.finish():
                raise RuntimeError(f"{self.path.name}: its time was over before the first checkpoint") from None
        done = self.planned()
        return {"finished": True, "cut_short": cut, "seconds": time.time() - began, "last": last} | _length(done)

    def finish(self) -> bool:
        """Let the newest checkpoint be the run's end; whether there is one."""
        found = checkpoint.newest(self.path / "checkpoints")
        if found is None:
            return False
        write_json(self.path / "recipe.json", cut_short(self.planned(), found.position.step).to_dict())
        self._train(self.planned(), lambda at: None)
        return self.finished

    def _train(self, recipe: Recipe, report: Any) -> None:
        device = "cuda" if self.setting.on_gpu else "cpu"
        options = TrainOptions(device=device, report=report, latents=self.latents(), command=["benchmarks.gpu"])
        train(recipe, self.parts(), self.path, options)


@dataclass(frozen=True, slots=True)
class Round:
    """Three runs, or two where the codec is there."""

    number: int
    setting: Setting
    begins_from: Path | None

    @classmethod
    def current(cls, setting: Setting) -> "Round":
        """The round to go on with, or a new one from the newest model."""
        folders = _rounds(setting)
        if not folders:
            return cls(1, setting, shipping.carried(setting))
        last = cls(len(folders), setting, _begun_from(folders))
        if last.run("video").finished:
            return cls(len(folders) + 1, setting, last.run("video").path / "model")
        return last

    @property
    def stages(self) -> tuple[str, ...]:
        """In their order."""
        return ("codec", "image", "video") if self.begins_from is None else ("image", "video")

    def run(self, name: str) -> Run:
        """One of its runs."""
        return Run(self.setting.work / "train" / f"round-{self.number}" / name, self.setting)

    def before(self, name: str) -> Path:
        """The model that a stage begins from."""
        at = self.stages.index(name)
        return _known(self.begins_from) if at == 0 else self.run(self.stages[at - 1]).path / "model"


def newest_model(setting: Setting) -> Path | None:
    """The model of the newest diffusion stage that has weights; one that was broken off ends at its last checkpoint."""
    for folder in reversed(_rounds(setting)):
        for name in ("video", "image"):
            run = Run(folder / name, setting)
            if run.is_begun and (run.finished or run.finish()):
                return run.path / "model"
    return shipping.carried(setting)


def cut_short(recipe: Recipe, steps: int) -> Recipe:
    """The same run, over after ``steps`` steps."""
    if recipe.codec_stage is not None:
        few = dataclasses.replace(recipe.codec_stage, steps=steps, pictures=min(256, recipe.codec_stage.pictures))
        return dataclasses.replace(recipe, codec_stage=few)
    return dataclasses.replace(recipe, stages=(dataclasses.replace(recipe.stages[0], steps=steps),))


def _length(recipe: Recipe) -> Mapping[str, Any]:
    stage = recipe.codec_stage or recipe.stages[0]
    return {"steps": stage.steps, "batch": stage.batch_size, "lr": stage.lr, "precision": recipe.precision}


def _rounds(setting: Setting) -> list[Path]:
    folders = (setting.work / "train").glob("round-*")
    return sorted(folders, key=lambda folder: int(folder.name.removeprefix("round-")))


def _begun_from(folders: list[Path]) -> Path | None:
    """Whether the last round has a codec of its own is seen in its folder, or in there being one before it."""
    if (folders[-1] / "codec").is_dir():
        return None
    if len(folders) > 1:
        return folders[-2] / "video" / "model"
    return folders[-1].parent.parent / "carried" / "model"


def _known(value: Any) -> Any:
    if value is None:
        raise RuntimeError("a run was asked for before it was planned")
    return value
