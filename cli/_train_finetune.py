"""``idol train finetune``: a finished checkpoint goes on with the user's own clips."""

import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import _defaults
from cli._output import Output
from cli._place import DeviceOption
from cli._train_bars import StageBars
from cli._train_data import named_parts, say_faults
from cli._train_plan import say_plan

if TYPE_CHECKING:
    from idol_model.codecs.ceiling import Ceiling
    from idol_model.feed.training_data import DataPart, TrainingData
    from idol_model.finetuning import Base, Plan, Wishes
    from idol_model.recipe import Recipe

_LOOKS = 4
"""Previews of a run, where the user does not say."""


def finetune(
    start: Annotated[
        str, typer.Option("--from", help="demo (the shipped checkpoint), a run, a model's folder or a hub id.")
    ] = "demo",
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", help="Prepared clips, PATH[=WEIGHT]; repeat it. Without: ./data."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run folder; without it, runs/finetune-DATA.")
    ] = None,
    lora: Annotated[int, typer.Option(min=0, help="Train LoRA of this rank; 0 trains the weights.")] = 0,
    stage: Annotated[
        Literal["auto", "image", "video"], typer.Option(help="auto: video where clips are long.")
    ] = "auto",
    codec: Annotated[
        Literal["auto", "keep", "decoder", "all"], typer.Option(help="auto: tuned where it caps the data below 28 dB.")
    ] = "auto",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the denoiser.")] = None,
    lr: Annotated[float | None, typer.Option(help="Its rate.")] = None,
    background: Annotated[
        Literal["auto", "reference", "plate", "mixed"], typer.Option(help="auto: plate where every clip has one.")
    ] = "auto",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="field=value; repeat it. For example --set seed=7.")
    ] = None,
    device: DeviceOption = "auto",
    engine: Annotated[Literal["ddp", "fsdp", "deepspeed"], typer.Option(help="As in `idol train`.")] = "ddp",
    preview: Annotated[
        int | None, typer.Option(min=0, help="Pictures of clips every N steps; 0: none [default: four times].")
    ] = None,
    watch: Annotated[list[str] | None, typer.Option(help="tensorboard (default), wandb, none; repeat it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show choices, steps and memory; do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """Choose everything from checkpoint and data, say it with its reason, then train; run again to continue."""
    out = Output("silent") if int(os.environ.get("RANK", "0")) else Output.of(json=as_json)
    from idol_model.feed.training_data import TrainingData
    from idol_model.finetuning import Base, Wishes

    options = {
        "stages.0.steps": steps,
        "stages.0.lr": lr,
        "data.background": None if background == "auto" else background,
    }
    asked = [f"{name}={value}" for name, value in options.items() if value is not None]
    wishes = Wishes(stage=stage, codec=codec, lora=lora, assignments=(*asked, *(assignments or ())))
    parts = named_parts(data)
    work = _Work(Base.located(start), parts, TrainingData.open(parts), _run_folder(parts, output))
    plan, before = work.planned(out, wishes)
    if dry_run:
        say_plan(out, plan.recipe, chosen=[asdict(one) for one in plan.chosen])
        return
    how = {
        "device": device,
        "engine": engine,
        "watchers": tuple(name for name in watch or ["tensorboard"] if name != "none"),
    }
    every = work.preview(plan.recipe) if preview is None else preview
    work.go(out, plan, before, how | {"preview_every": every})


def _run_folder(parts: "list[DataPart]", named: Path | None) -> Path:
    return _defaults.run_folder(f"finetune-{parts[0].path.absolute().name}", named).path


@dataclass(frozen=True, slots=True)
class _Work:
    """One fine-tuning: what it begins from, its data, its run."""

    base: "Base"
    parts: "list[DataPart]"
    data: "TrainingData"
    run: Path

    def planned(self, out: Output, wishes: "Wishes") -> "tuple[Plan, Ceiling | None]":
        """The recipe, said choice by choice, and the codec's ceiling before anything is trained."""
        from idol_model.finetuning import Facts, plan, records

        before = records.before(self.run, self.base, self.data.record()) or self._ceiling(out, self.base.folder)
        made = plan(Facts.of(self.base, self.data, before), wishes)
        self.data.check(made.recipe)
        named = ", ".join(f"{part.path} (weight {part.weight:g})" for part in self.parts)
        _defaults.announce(out, checkpoint=str(self.base.folder), data=named, run=self.run)
        rows = [[one.field, _shown(one.value), one.reason] for one in made.chosen]
        out.table("Chosen from checkpoint and data; --set FIELD=VALUE overrules", ["field", "value", "because"], rows)
        return made, before

    def preview(self, recipe: "Recipe") -> int:
        """Steps between previews; none of pictures, which no clip is held out of."""
        return max(1, recipe.stages[0].steps // _LOOKS) if self.data.clips else 0

    def go(self, out: Output, plan: "Plan", before: "Ceiling | None", options: dict[str, Any]) -> None:
        """Train, measure the codec again, and say what to do with the result."""
        from idol_model.finetuning import records
        from idol_model.training import TrainOptions, train

        if options["preview_every"]:
            out.note(f"previews    {self.run / 'previews'}, every {options['preview_every']} steps: {self._seen()}")
        record = partial(records.write, self.run, self.base, self.data.record(), plan)
        writes = out.mode != "silent"
        if writes and not (self.run / "recipe.json").exists():
            record((before, None))
        with StageBars(out) as bars:
            model = train(plan.recipe, self.parts, self.run, TrainOptions(report=bars.show, **options))
        after = self._ceiling(out, model) if plan.recipe.codec_stage else before
        if writes:
            record((before, after))
            self._report(out, model, {"last": bars.last, **records.read(self.run)})

    def _report(self, out: Output, model: Path, record: dict[str, Any]) -> None:
        found, lora = record["codec"], self.run / "lora"
        if found:
            out.line(
                f"codec: {found['before']:.1f} dB before, {found['after']:.1f} dB after (PSNR of {found['frames']} "
                f"frames of the {found['split']} split, encoded and decoded)"
            )
        out.line(f"trained model: {model}")
        if lora.is_dir():
            out.line(f"LoRA: {lora}")
        faults = say_faults(out, self.run)
        out.note(f"try it      idol generate PERSON BACKGROUND POSES --ckpt {model}")
        saved = {"model": model, "run": self.run, "lora": lora if lora.is_dir() else None}
        out.result({**saved, **record, "faults": faults})

    def _seen(self) -> str:
        """Which clips previews show."""
        if len(self.data.first_dataset().records("val")):
            return "held-out clips (val)"
        return "clips that it trains on, since none is marked val; a split file for `idol prep` holds some out"

    def _ceiling(self, out: Output, folder: Path) -> "Ceiling | None":
        from idol_model.codecs.ceiling import ceiling, load_codec
        from idol_model.loading import read_recipe

        if not self.data.clips:
            return None
        out.note("measuring what the codec alone makes of the data")
        recipe = read_recipe(folder)
        return ceiling(load_codec(recipe, folder), recipe, self.data.first_dataset())


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)
