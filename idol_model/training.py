"""`train`: a recipe and a prepared data set become a run folder with a trained model in it."""

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator

from idol_model import weights
from idol_model.allocator import keep_freed_memory
from idol_model.codec_trainer import CodecPhase
from idol_model.feed.run_data import Places, RunData
from idol_model.feed.training_data import DataPart, TrainingData
from idol_model.model import IdolModel
from idol_model.phases import DiffusionPhase
from idol_model.recipe import Recipe, Stage
from idol_model.run_state import Progress, Report, RunFolder
from idol_model.trainer import Look, Trainer

Device = Literal["auto", "cpu", "cuda"]


def _silent(progress: Progress) -> None:
    del progress


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a run is carried out; nothing here changes its result, but for rounding where it says so."""

    device: Device = "auto"
    report: Report = _silent
    preview_every: int = 0
    """Steps between pictures of held-out clips (`idol_model.preview`); 0 makes none."""
    compile: bool = False
    """Compile U-Net and pose network first (minutes); sums are rounded differently then."""
    latents: Path | None = None
    """Folder of latent caches that several runs may share; None keeps them in the run's own."""
    channels_last: bool = False
    """Keep convolutions' tensors with their channels last; faster on some GPUs."""
    command: list[str] = field(default_factory=lambda: list(sys.argv))


def train(recipe: Recipe, data: Path | Sequence[DataPart], run: Path, options: TrainOptions | None = None) -> Path:
    """Train, or continue where the run in ``run`` stands; returns the folder of the finished model.

    Raises:
        RunMismatch: ``run`` belongs to another recipe or other data, or another process is training there.
        DataShortage: the data lacks what the recipe needs.
        FileNotFoundError: the pre-trained weights of the recipe are not on this machine.
        idol_prep.schema.DataError: ``data`` is not a prepared data set.
    """
    options = options or TrainOptions()
    opened = TrainingData.open(data)
    opened.check(recipe)
    weights.check_present(recipe)
    accelerator = start_accelerator(recipe, options.device)
    folder = RunFolder.open(run, recipe, opened.record(), options.command)
    with folder.claimed():
        if not folder.finished:
            torch.manual_seed(recipe.seed)
            model = IdolModel.from_recipe(recipe)
            weights.start_from(recipe, model)
            _prepared(model, options)
            _Run(recipe, model, opened, Trainer(recipe, model, folder, accelerator, options.report), options).all()
    return folder.model


def _prepared(model: IdolModel, options: TrainOptions) -> None:
    """The model as the options ask for it; names and values of its parameters stay."""
    networks = (model.unet, model.pose_control)
    if options.channels_last:
        for network in networks:
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if options.compile:
        for network in networks:
            network.compile()


def start_accelerator(recipe: Recipe, device: Device) -> Accelerator:
    """Accelerate for one process on the device asked for.

    Raises:
        ValueError: the device is not there, cannot do the precision, or several processes were started.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: no GPU is visible; use --device cpu")
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if on_cpu:
        check_cpu_precision(recipe.precision)
        # Networks that start at zero make gradients below the normal range of float32, where processors are slow: a
        # quarter of an image step of the demo recipe. Set before any parallel work, threads inherit it.
        torch.set_flush_denormal(True)
        keep_freed_memory()
    precision = {"fp32": "no"}.get(recipe.precision, recipe.precision)
    accelerator = Accelerator(mixed_precision=precision, cpu=on_cpu)
    if accelerator.num_processes > 1:
        raise ValueError(f"{accelerator.num_processes} processes were started: training runs in one; start it directly")
    return accelerator


def check_cpu_precision(precision: str) -> None:
    """Refuse what a processor cannot do, and say what it does slowly.

    Raises:
        ValueError: fp16.
    """
    if precision == "fp16":
        raise ValueError("precision=fp16 needs a GPU; set precision=bf16 or fp32")
    if precision == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        warnings.warn("precision=bf16: this processor has no instructions for it and is faster with precision=fp32")


class _Run:
    """The phases of one recipe in their order."""

    def __init__(
        self, recipe: Recipe, model: IdolModel, data: TrainingData, trainer: Trainer, options: TrainOptions
    ) -> None:
        self.recipe, self.model, self.data, self.trainer = recipe, model, data, trainer
        self._options = options
        cached = options.latents or trainer.run.latents
        self._run_data = RunData(data, recipe, model, Places(trainer.run.path, cached))
        self._trainable = model.trainable()

    def all(self) -> None:
        """Every phase that is not done yet, then the finished model."""
        if self.recipe.codec_stage is not None and not self.trainer.done(0):
            clips, drawn = self.data.joined_clips(), self._telling("pictures")
            self.trainer.train(0, CodecPhase(self.recipe, self.recipe.codec_stage, self.model, clips, drawn))
        for index, stage in enumerate(self.recipe.stages, 1):
            if not self.trainer.done(index):
                self.trainer.train(index, self._phase(stage), self._look())
        self.model.eval()
        save_model(self.model, self.recipe, self.trainer.run.model)

    def _phase(self, stage: Stage) -> DiffusionPhase:
        feed = self._run_data.feed(stage, self._telling("latents"))
        if feed.plan.left_out:
            warnings.warn(
                f"stage {stage.name}: {feed.plan.left_out} of {self.data.items} clips are shorter than its "
                f"{stage.frames} frames and are not used"
            )
        return DiffusionPhase(self.recipe, stage, self.model, self._trainable, feed)

    def _look(self) -> Look | None:
        if self._options.preview_every == 0:
            return None
        from idol_model.preview import Preview

        preview = Preview(self.recipe, self.model, self.data.first_dataset(), self.trainer.run)
        return Look(self._options.preview_every, lambda position, stage: preview.show(position, stage.frames))

    def _telling(self, what: str) -> Callable[[int, int], None]:
        """Progress of work before a stage."""
        return lambda done, total: self._options.report(Progress(stage=what, done=done, total=total))


def save_model(model: IdolModel, recipe: Recipe, folder: Path) -> None:
    """Write the diffusers folder of a trained model, whole or not at all."""
    from idol_model.pipeline import IdolPipeline

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    IdolPipeline.from_model(model, recipe).save_pretrained(temporary)
    (temporary / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder)
