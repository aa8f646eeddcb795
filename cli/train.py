"""``idol train``: a recipe and prepared data become a model."""

import dataclasses
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from cli import _defaults
from cli._output import Bar, Output
from cli._train_cache import cache
from cli._train_data import named_parts, say_faults

if TYPE_CHECKING:
    from idol_model.feed.training_data import DataPart
    from idol_model.recipe import Recipe
    from idol_model.run_state import Progress

_MILLION = 1e6
_ROWS = {
    "unet_2d": "2D U-Net",
    "unet_3d": "3D U-Net (with temporal layers)",
    "pose_control": "pose network (with temporal layers)",
    "together": "3D U-Net and pose network",
    "with_coupling": "and cross-modal attention",
}


class _RecipeOrCommand(TyperGroup):
    """``idol train RECIPE ...`` is ``idol train run RECIPE ...``: what names no command is a recipe."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args[:1] and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["run", *args])


def register(app: typer.Typer) -> None:
    """Add ``idol train [run] | cache | status``."""
    group = typer.Typer(help="Train a recipe on prepared data; run again to continue.", cls=_RecipeOrCommand)
    group.command("run", help="Train a recipe; `idol train idol` is short for `idol train run idol`.")(_train)
    group.command("cache", help="Encode the clips ahead of the training.")(cache)
    group.command("status", help="How a run stands, from outside.")(_status)
    app.add_typer(group, name="train")


def _train(
    recipe: Annotated[str, typer.Argument(help="A recipe; --list shows them.")] = "idol",
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", "-d", help="Prepared clips or pictures, PATH[=WEIGHT]; repeat it to mix. Without: ./data."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Run folder; without it, runs/RECIPE.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="field=value; repeat it. For example --set seed=7.")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train.")] = "auto",
    preview: Annotated[
        int, typer.Option(min=0, help="Every N steps, pictures and depth error of held-out clips; 0: none.")
    ] = 0,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the networks first: minutes, then faster steps.")
    ] = False,
    latents: Annotated[Path | None, typer.Option("--cache", help="Folder of latent caches that runs share.")] = None,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Memory layout some GPUs prefer.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show recipe, parameters and steps; do nothing.")] = False,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    if list_recipes:
        _list(out)
        return
    from idol_model import recipes

    resolved = recipes.get(recipe).override(assignments or [])
    if dry_run:
        _plan(out, resolved)
    else:
        places = (named_parts(data), _defaults.run_folder(recipe, output))
        how = {"device": device, "preview_every": preview, "compile": compiled, "channels_last": channels_last}
        _run(out, resolved, places, how | {"latents": latents})


def _list(out: Output) -> None:
    from idol_model import recipes

    rows = [[name, recipes.get(name).summary] for name in recipes.names()]
    out.table("Recipes", ["name", "what it is"], rows)
    out.result({"recipes": [{"name": name, "summary": text, "paper": _published(name)} for name, text in rows]})


def _published(name: str) -> list[dict[str, Any]]:
    """The rows of the paper that a recipe reproduces, with their published figures."""
    from idol_eval import paper_values
    from idol_model import recipes

    found = [
        (place, paper_values.select(place.table, place.dataset, (place.row,))[0]) for place in recipes.places(name)
    ]
    return [
        {
            "table": place.table,
            "row": place.row,
            "dataset": place.dataset,
            "depth": row.depth,
            "figures": dict(row.values),
        }
        for place, row in found
    ]


def _plan(out: Output, recipe: "Recipe") -> None:
    """What would be trained, counted on modules without storage."""
    from idol_model import selection

    model = selection.meta_model(recipe)
    counts, parts = selection.paper_counts(model), selection.part_counts(model)
    stages = selection.stage_selections(model, recipe)
    out.line(json.dumps(recipe.to_dict(), indent=2))
    out.table(
        f"Parameters of {recipe.name}, in millions",
        ["what", "million"],
        [[label, f"{counts[key] / _MILLION:,.2f}"] for key, label in _ROWS.items()]
        + [[f"all of {name}", f"{number / _MILLION:,.2f}"] for name, number in parts.items()],
    )
    out.table(
        "Stages",
        ["stage", "steps", "batch", "trained, million", "frozen, million"],
        [[plan.name, plan.steps, plan.batch_size, _millions(plan.trained), _millions(plan.frozen)] for plan in stages],
    )
    out.result(
        {
            "recipe": recipe.to_dict(),
            "parameters": counts,
            "parameters_millions": {name: round(number / _MILLION, 2) for name, number in counts.items()},
            "parts": parts,
            "stages": [dataclasses.asdict(stage) for stage in stages],
        }
    )


def _millions(parts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number / _MILLION:,.2f}" for name, number in parts.items() if number) or "none"


def _run(
    out: Output, recipe: "Recipe", places: "tuple[list[DataPart], _defaults.Chosen]", options: dict[str, Any]
) -> None:
    from idol_model.training import TrainOptions, train

    parts, run = places
    data = ", ".join(f"{part.path} (weight {part.weight:g})" for part in parts)
    _defaults.announce(out, recipe=f"{recipe.name} ({recipe.summary})", data=data, run=run)
    with _StageBars(out) as bars:
        model = train(recipe, parts, run.path, TrainOptions(report=bars.show, **options))
    out.line(f"trained model: {model}")
    faults = say_faults(out, run.path)
    out.result({"model": model, "run": run.path, "recipe": recipe.name, "last": bars.last, "faults": faults})


class _StageBars:
    """One bar a stage, with its loss terms beside it."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._open = ExitStack()
        self._stage = ""
        self._bar: Bar | None = None
        self.last: dict[str, Any] = {}

    def __enter__(self) -> "_StageBars":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def show(self, progress: "Progress") -> None:
        """Called by the trainer after every step."""
        if progress.stage != self._stage or self._bar is None:
            self._open.close()
            self._stage = progress.stage
            self._bar = self._open.enter_context(self._out.progress(progress.total, progress.stage))
        self._bar.update(progress.done, note=_note(progress))
        self.last = {"stage": progress.stage, "step": progress.done, "terms": dict(progress.terms)}


def _note(progress: "Progress") -> str:
    terms = "  ".join(f"{name} {value:.4f}" for name, value in progress.terms.items())
    rate = f"{1 / progress.seconds:.2f} steps/s" if progress.seconds else ""
    return f"{terms}  {rate}".strip()


def _status(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    from idol_model.run_status import read_status

    out, found = Output.of(json=as_json), read_status(run)
    out.table(
        f"{run}: {found.recipe}, {found.state}",
        ["stage", "done", "steps", "seconds a step", "left"],
        [[s.name, s.done, s.steps, _rounded(s.seconds_a_step), _span(s.seconds_left)] for s in found.stages],
    )
    out.line("  ".join(f"{name} {value:.4f}" for name, value in found.terms.items()) or "no step is logged yet")
    say_faults(out, run)
    out.line(f"newest checkpoint: {found.checkpoint or 'none'}")
    if found.preview is not None:
        out.line(f"preview: {found.preview}")
    stages = [{**dataclasses.asdict(stage), "seconds_left": stage.seconds_left} for stage in found.stages]
    out.result({**dataclasses.asdict(found), "stages": stages})


def _rounded(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3g}"


def _span(seconds: float | None) -> str:
    """Hours and minutes."""
    if seconds is None:
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
