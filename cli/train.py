"""``idol train``: a recipe and prepared data become a model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from cli import _defaults
from cli._output import Output
from cli._place import DeviceOption
from cli._train_bars import StageBars
from cli._train_cache import cache
from cli._train_data import named_parts, say_faults
from cli._train_finetune import finetune
from cli._train_list import say_recipes
from cli._train_plan import say_plan
from cli._train_status import status

if TYPE_CHECKING:
    from idol_model.chain import Link
    from idol_model.feed.training_data import DataPart


class _RecipeOrCommand(TyperGroup):
    """``idol train RECIPE ...`` is ``idol train run RECIPE ...``: what names no command is a recipe."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args[:1] and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["run", *args])


def register(app: typer.Typer) -> None:
    """Add ``idol train [run] | finetune | cache | status``."""
    group = typer.Typer(help="Train a recipe on prepared data; run again to continue.", cls=_RecipeOrCommand)
    group.command("run", help="Train a recipe; `idol train idol` is short for `idol train run idol`.")(_train)
    group.command("finetune", help="Go on from a finished checkpoint with your own clips.")(finetune)
    group.command("cache", help="Encode the clips ahead of the training.")(cache)
    group.command("status", help="How a run stands, from outside.")(status)
    app.add_typer(group, name="train")


def _train(
    recipe: Annotated[str, typer.Argument(help="A recipe; --list shows them.")] = "idol",
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", "-d", help="Prepared clips or pictures, PATH[=WEIGHT]; repeat it to mix. Without: ./data."
        ),
    ] = None,
    stills: Annotated[
        list[str] | None,
        typer.Option("--stills", help="The same for the pre-training a recipe begins from; without it, --data."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Run folder; without it, runs/RECIPE.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="field=value; repeat it. For example --set seed=7.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Train this stage of the chain alone.")] = None,
    fork: Annotated[
        Path | None, typer.Option(help="Begin from this run's newest checkpoint, under a changed recipe.")
    ] = None,
    device: DeviceOption = "auto",
    tf32: Annotated[
        bool, typer.Option("--tf32", help="Round float32 products on the GPU to TF32: faster, less exact.")
    ] = False,
    engine: Annotated[
        Literal["ddp", "fsdp", "deepspeed"],
        typer.Option(help="Several processes: each holds all weights; a share; all, and a share of the gradients."),
    ] = "ddp",
    preview: Annotated[
        int, typer.Option(min=0, help="Every N steps, pictures and depth error of held-out clips; 0: none.")
    ] = 0,
    watch: Annotated[
        list[str] | None,
        typer.Option(help="Who else is told of losses: tensorboard (default), wandb, none; repeat it."),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the networks first: minutes, then faster steps.")
    ] = False,
    latents: Annotated[Path | None, typer.Option("--cache", help="Folder of latent caches that runs share.")] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that several processes wait for each other at most.")
    ] = 7200,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Memory layout some GPUs prefer.")] = False,
    loader_threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that read samples [default: one a core of this process].")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show recipe, parameters, steps and memory; do nothing.")
    ] = False,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output("silent") if int(os.environ.get("RANK", "0")) else Output.of(json=as_json)
    if list_recipes:
        say_recipes(out)
        return
    from idol_model import recipes

    resolved = recipes.get(recipe).override(assignments or [])
    if dry_run:
        say_plan(out, resolved)
        return
    from idol_model.chain import links

    chain = links(resolved, _defaults.run_folder(recipe, output).path)
    how = {"device": device, "engine": engine, "preview_every": preview, "compile": compiled}
    more = {"channels_last": channels_last, "latents": latents, "watchers": _watchers(watch), "tf32": tf32}
    more |= {"loader_threads": loader_threads, "timeout": timeout}
    parts = named_parts(data)
    journey = _Journey(chain, parts, named_parts(stills) if stills else parts, stage)
    if fork is not None:
        journey.fork(fork)
    journey.go(out, how | more)


def _watchers(named: list[str] | None) -> tuple[str, ...]:
    return tuple(name for name in named or ["tensorboard"] if name != "none")


@dataclass(frozen=True, slots=True)
class _Journey:
    """A chain with its data: what the last run trains on, and what those before it do."""

    chain: "tuple[Link, ...]"
    data: "list[DataPart]"
    stills: "list[DataPart]"
    stage: str | None

    def fork(self, source: Path) -> None:
        """Begin the last run from another's checkpoint."""
        from idol_model.feed.training_data import TrainingData
        from idol_model.forking import fork

        last = self.chain[-1]
        fork(source, last.run, last.recipe, TrainingData.open(self.data).record(), [])

    def go(self, out: Output, options: dict[str, Any]) -> None:
        """Train what is not finished, run after run."""
        from idol_model.chain import with_stage

        wanted = self.chain if self.stage is None else (with_stage(self.chain, self.stage),)
        answers = [self._run(out, link, options) for link in wanted if not link.finished or link is self.chain[-1]]
        answers = answers or [{"run": wanted[0].run, "model": wanted[0].run / "model", "recipe": wanted[0].recipe.name}]
        out.result({**answers[-1], "chain": [str(link.run) for link in self.chain]})

    def _run(self, out: Output, link: "Link", options: dict[str, Any]) -> dict[str, Any]:
        from idol_model.training import TrainOptions, train

        parts = self.data if link is self.chain[-1] else self.stills
        named = ", ".join(f"{part.path} (weight {part.weight:g})" for part in parts)
        _defaults.announce(out, recipe=f"{link.recipe.name} ({link.recipe.summary})", data=named, run=str(link.run))
        with StageBars(out) as bars:
            how = TrainOptions(report=bars.show, say=out.note, stage=self.stage, **options)
            made = train(link.recipe, parts, link.run, how)
        out.line(f"trained model: {made}" if link.finished else f"stage {self.stage} is done: {made}")
        faults = say_faults(out, link.run)
        return {"model": made, "run": link.run, "recipe": link.recipe.name, "last": bars.last, "faults": faults}
