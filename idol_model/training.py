"""`train`: a recipe and a prepared data set become a run folder with a trained model in it."""

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from idol_model import engines, optimizers, weights
from idol_model.codec_trainer import CodecPhase
from idol_model.engines import Device, EngineKind
from idol_model.feed.clips import TrainingClips
from idol_model.feed.sources import CacheSource, ClipSource
from idol_model.latents import LatentCache, LatentSource
from idol_model.model import IdolModel
from idol_model.phases import DiffusionPhase
from idol_model.recipe import Recipe, Stage
from idol_model.run_state import Progress, Report, RunFolder
from idol_model.trainer import Look, Trainer
from idol_model.unet.blocks import recompute
from idol_prep.schema import Dataset


def _silent(progress: Progress) -> None:
    del progress


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a run is carried out; nothing here changes its result, but for rounding where it says so."""

    device: Device = "auto"
    engine: EngineKind = "ddp"
    """How several processes work together (`idol_model.engines`); one process needs none of them."""
    report: Report = _silent
    preview_every: int = 0
    """Steps between pictures of held-out clips (`idol_model.preview`); 0 makes none."""
    compile: bool = False
    """Compile U-Net and pose network first (minutes); sums are rounded differently then."""
    channels_last: bool = False
    """Keep convolutions' tensors with their channels last; faster on some GPUs."""
    command: list[str] = field(default_factory=lambda: list(sys.argv))


def train(recipe: Recipe, data: Path, run: Path, options: TrainOptions | None = None) -> Path:
    """Train, or continue where the run in ``run`` stands; returns the folder of the finished model.

    Raises:
        RunMismatch: ``run`` belongs to another recipe or other data, or another process is training there.
        DataShortage: the data lacks what the recipe needs.
        FileNotFoundError: the pre-trained weights of the recipe are not on this machine.
        idol_prep.schema.DataError: ``data`` is not a prepared data set.
    """
    options = options or TrainOptions()
    dataset = Dataset.open(data)
    clips = TrainingClips.of(dataset)
    weights.check_present(recipe)
    optimizers.check_present(recipe.optimizer)
    engine = engines.start(options.engine, recipe, options.device)
    origin = {"path": str(data), "content_hash": dataset.content_hash}
    with engine.main_first():
        folder = RunFolder.open(run, recipe, origin, options.command, writes=engine.main)
    with folder.claimed():
        if not folder.finished:
            torch.manual_seed(recipe.seed)
            model = IdolModel.from_recipe(recipe)
            weights.start_from(recipe, model)
            _prepared(model, recipe, options)
            _Run(recipe, model, clips, Trainer(recipe, model, folder, engine, options.report), options).all()
    return folder.model


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
        self, recipe: Recipe, model: IdolModel, clips: TrainingClips, trainer: Trainer, options: TrainOptions
    ) -> None:
        self.recipe, self.model, self.clips, self.trainer = recipe, model, clips, trainer
        self._options = options
        self._trainable = [name for name, _ in model.trainable()]

    def all(self) -> None:
        """Every phase that is not done yet, then the finished model."""
        if self.recipe.codec_stage is not None and not self.trainer.done(0):
            drawn = self._telling("pictures")
            self.trainer.train(0, CodecPhase(self.recipe, self.recipe.codec_stage, self.model, self.clips, drawn))
        for index, stage in enumerate(self.recipe.stages, 1):
            if not self.trainer.done(index):
                self.trainer.train(index, self._phase(stage), self._look())
        engine = self.trainer.engine
        model = engine.plain(self.model, lambda: IdolModel.from_recipe(self.recipe))
        if engine.main:
            save_model(model.eval(), self.recipe, self.trainer.run.model)
        engine.wait()

    def _phase(self, stage: Stage) -> DiffusionPhase:
        _check_cache(self.recipe, stage)
        source = self._cache() if stage.cache_latents else ClipSource(self.clips, self.recipe, self.model)
        phase = DiffusionPhase(self.recipe, stage, self.model, self._trainable, source)
        if phase.plan.left_out:
            warnings.warn(
                f"stage {stage.name}: {phase.plan.left_out} of {len(source.lengths)} clips are shorter than its "
                f"{stage.frames} frames and are not used"
            )
        return phase

    def _look(self) -> Look | None:
        if self._options.preview_every == 0:
            return None
        from idol_model.preview import Preview

        preview = Preview(self.recipe, self.model, self.clips.dataset, self.trainer.run)
        return Look(self._options.preview_every, lambda position, stage: preview.show(position, stage.frames))

    def _cache(self) -> CacheSource:
        source = LatentSource(dataset=self.clips.dataset, ids=self.clips.ids, data=self.recipe.data, model=self.model)
        with self.trainer.engine.main_first():
            cache = LatentCache.open(self.trainer.run.latents, source, self._telling("latents"))
        return CacheSource(cache, self.model)

    def _telling(self, what: str) -> Callable[[int, int], None]:
        """Progress of work before a stage."""
        return lambda done, total: self._options.report(Progress(stage=what, done=done, total=total))


def _check_cache(recipe: Recipe, stage: Stage) -> None:
    if stage.cache_latents and recipe.data.augment != "none":
        raise ValueError(
            f"stage {stage.name}: cache_latents with data.augment={recipe.data.augment!r} would train on pictures as "
            "they are; set cache_latents=false"
        )


def save_model(model: IdolModel, recipe: Recipe, folder: Path) -> None:
    """Write the diffusers folder of a trained model, whole or not at all."""
    from idol_model.pipeline import IdolPipeline

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    IdolPipeline.from_model(model, recipe).save_pretrained(temporary)
    (temporary / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder)
