"""`train`: a recipe and a prepared data set become a run folder with a trained model in it."""

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from idol_model import checkpoint, engines, foreground, optimizers, watching, weights
from idol_model.codec_trainer import CodecPhase
from idol_model.device import DeviceName
from idol_model.engines import EngineKind
from idol_model.feed.run_data import Places, RunData
from idol_model.feed.training_data import DataPart, TrainingData
from idol_model.latents import Encoders
from idol_model.lora.layers import adaptation
from idol_model.model import IdolModel
from idol_model.phases import DiffusionPhase
from idol_model.processes import TIMEOUT
from idol_model.recipe import Recipe, Stage
from idol_model.run_state import Progress, Report, RunFolder
from idol_model.telling import Telling
from idol_model.trainer import Look, Trainer
from idol_model.unet.blocks import recompute
from idol_model.watching import WatcherKind
from idol_prep.schema import Polarity


def _silent(said: Progress | str) -> None:
    del said


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a run is carried out; nothing here changes its result, but for rounding where it says so."""

    device: DeviceName = "auto"
    tf32: bool = False
    """Let an NVIDIA GPU round float32 products to TF32 (``docs/scaling.md``); those of bf16 and fp16 stay."""
    engine: EngineKind = "ddp"
    """How several processes work together (`idol_model.engines`); one process needs none of them."""
    report: Report = _silent
    say: Callable[[str], None] = _silent
    """Called with a line for the user, from a thread of its own."""
    preview_every: int = 0
    """Steps between pictures of held-out clips (`idol_model.preview`); 0 makes none."""
    compile: bool = False
    """Compile U-Net and pose network first (minutes); sums are rounded differently then."""
    latents: Path | None = None
    """Folder of latent caches that several runs may share; None keeps them in the run's own."""
    stage: str | None = None
    """Train this stage alone, those before it being done; None trains all that are left."""
    watchers: tuple[WatcherKind, ...] = ()
    """Who else is told of losses and previews (`idol_model.watching`)."""
    channels_last: bool = False
    """Keep convolutions' tensors with their channels last; faster on some GPUs."""
    timeout: float = TIMEOUT
    """Seconds that several processes wait for each other before the run ends and names those that are missing."""
    loader_threads: int | None = None
    """Threads that read and decode samples; None is one a core (`idol_model.feed.feed.default_readers`)."""
    command: list[str] = field(default_factory=lambda: list(sys.argv))


def train(recipe: Recipe, data: Path | Sequence[DataPart], run: Path, options: TrainOptions | None = None) -> Path:
    """Train, or continue where the run in ``run`` stands; returns the folder of the finished model.

    With `TrainOptions.stage` the run may not be finished yet: then it returns the newest checkpoint.

    Raises:
        RunMismatch: ``run`` belongs to another recipe or other data, or another process is training there.
        DataShortage: the data lacks what the recipe needs.
        FileNotFoundError: the pre-trained weights of the recipe are not on this machine.
        TrainingInterrupted: Ctrl-C or SIGTERM; where the run stands is saved (`idol_model.stopping`).
        ProcessMissing: a process of the run did not come in time (`TrainOptions.timeout`).
        OSError: the disk is full; the earlier checkpoints are untouched.
        idol_prep.schema.DataError: ``data`` is not a prepared data set.
    """
    options = options or TrainOptions()
    opened = TrainingData.open(data)
    opened.check(recipe)
    weights.check_present(recipe)
    _warn_of_other_depth(recipe, opened)
    optimizers.check_present(recipe.optimizer)
    adaptation(recipe.lora).check_present()
    watching.check_present(options.watchers)
    how = {"tf32": options.tf32, "timeout": options.timeout}
    engine = engines.start(options.engine, recipe, options.device, **how)
    with engine.main_first("the run's folder is opened"):
        folder = RunFolder.open(run, recipe, opened.record(), options.command, writes=engine.main)
    with folder.claimed():
        if not folder.finished:
            torch.manual_seed(recipe.seed)
            model = IdolModel.from_recipe(recipe)
            weights.start_from(recipe, model)
            adaptation(recipe.lora).attach(model)
            _prepared(model, recipe, options)
            telling = Telling(folder, options.report, recipe.log_every, options.watchers, options.say)
            trainer = Trainer(recipe, model, folder, engine, telling)
            with trainer.stopping.handled(), trainer:
                _Run(recipe, model, opened, trainer, options).all()
            telling.close()
    return folder.model if folder.finished else checkpoint.located(folder.checkpoints)


def _warn_of_other_depth(recipe: Recipe, data: TrainingData) -> None:
    """Say where the run that this one begins from knew depth the other way round."""
    now = data.depth_polarity(recipe)
    before = None if recipe.init_from is None or now is None else weights.depth_polarity(recipe.init_from)
    if before not in (None, now):
        warnings.warn(
            f"init_from: {recipe.init_from} was trained on {before} depth and the data has {now} depth (which end is "
            f"near): the model has to learn depth anew, and its depth counts as {now}"
        )


def _prepared(model: IdolModel, recipe: Recipe, options: TrainOptions) -> None:
    """The model as recipe and options ask for it; names and values of its parameters stay."""
    networks = (model.unet, model.pose_control)
    if recipe.memory.recompute:
        for network in networks:
            recompute(network)
    if options.channels_last:
        for network in networks:
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if options.compile:
        for network in networks:
            network.compile()


class _Run:
    """The phases of one recipe in their order."""

    def __init__(
        self, recipe: Recipe, model: IdolModel, data: TrainingData, trainer: Trainer, options: TrainOptions
    ) -> None:
        self.recipe, self.model, self.data, self.trainer = recipe, model, data, trainer
        self._options = options
        places = Places(trainer.run.path, options.latents or trainer.run.latents, trainer.engine.group)
        self._run_data = RunData(data, recipe, self._encoders, places, options.loader_threads)
        self._trainable = [name for name, _ in model.trainable()]

    def all(self) -> None:
        """Every phase that is not done yet, or the one asked for; with the last, the finished model."""
        stages = _numbered(self.recipe)
        left = [(index, name) for index, name in stages if not self.trainer.done(index)]
        asked = self._asked(stages)
        undone = [name for index, name in left if index < asked and not self.trainer.at_end(index)]
        if undone and self._options.stage is not None:
            raise ValueError(
                f"stage {self._options.stage}: {undone[0]} comes before it and is not done; train that first, or leave "
                "the stage out to train all in order"
            )
        for index, _ in left:
            if index <= asked:
                self._one(index)
        if asked == stages[-1][0]:
            self._finish()

    def _asked(self, stages: list[tuple[int, str]]) -> int:
        """Number of the last stage to train now."""
        if self._options.stage is None:
            return stages[-1][0]
        numbers = {name: index for index, name in stages}
        if self._options.stage not in numbers:
            raise ValueError(f"stage {self._options.stage}: {self.recipe.name} has {', '.join(numbers)}")
        return numbers[self._options.stage]

    def _one(self, index: int) -> None:
        if index == 0:
            clips, drawn = self.data.joined_clips(), self._telling("pictures")
            assert self.recipe.codec_stage is not None
            self.trainer.train(0, CodecPhase(self.recipe, self.recipe.codec_stage, self.model, clips, drawn))
        else:
            self.trainer.train(index, self._phase(self.recipe.stages[index - 1]), self._look())

    def _finish(self) -> None:
        engine = self.trainer.engine
        model, lora = engine.plain(self.model, self._empty), adaptation(self.recipe.lora)
        if engine.main:
            lora.finish(model, self.trainer.run.path, codec=self.recipe.codec_stage is not None)
            save_model(model.eval(), self.recipe, self.trainer.run.model, self.data.depth_polarity(self.recipe))
        engine.group.wait("the model is saved")

    def _empty(self) -> IdolModel:
        """A model with the names of the one that was trained."""
        model = IdolModel.from_recipe(self.recipe)
        adaptation(self.recipe.lora).attach(model)
        return model

    def _phase(self, stage: Stage) -> DiffusionPhase:
        feed = self._run_data.feed(stage, self._telling("latents"))
        if feed.plan.left_out:
            warnings.warn(
                f"stage {stage.name}: {feed.plan.left_out} of {self.data.items} clips are shorter than its "
                f"{stage.frames} frames and are not used"
            )
        return DiffusionPhase(self.recipe, stage, self.model, self._trainable, feed)

    def _encoders(self) -> Encoders:
        """What makes latents, as one process has it: an engine may have split the foreground encoder. Collective."""
        engine, model = self.trainer.engine, self.model
        encoder = engine.plain(model.foreground, lambda: foreground.build(self.recipe.foreground))
        return Encoders(model.codec, encoder.to(engine.device), model.streams)

    def _look(self) -> Look | None:
        if self._options.preview_every == 0:
            return None
        from idol_model.preview import Preview

        preview = Preview(self.recipe, self.model, self.data.first_dataset(), self.trainer.run, self.trainer.stops)
        return Look(self._options.preview_every, lambda position, stage: preview.show(position, stage.frames))

    def _telling(self, what: str) -> Callable[[int, int], None]:
        """Progress of work before a stage."""
        return lambda done, total: self._options.report(Progress(stage=what, done=done, total=total))


def _numbered(recipe: Recipe) -> list[tuple[int, str]]:
    """Number and name of every stage; the codec's own training is number 0."""
    codec = [] if recipe.codec_stage is None else [(0, "codec")]
    return codec + [(index, stage.name) for index, stage in enumerate(recipe.stages, 1)]


def save_model(model: IdolModel, recipe: Recipe, folder: Path, depth_polarity: Polarity | None = None) -> None:
    """Write the diffusers folder of a trained model, whole or not at all; ``depth_polarity`` is its training data's."""
    from idol_model.pipeline import IdolPipeline

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    IdolPipeline.from_model(model, recipe, depth_polarity).save_pretrained(temporary)
    (temporary / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder)
