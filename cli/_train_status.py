"""``idol train status``: a run read from outside."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from cli._output import Output
from cli._train_data import say_faults


def status(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """State, stages, losses, checkpoint and preview of a run; changes nothing."""
    from idol_model.run_status import read_status

    out, found = Output.of(json=as_json), read_status(run)
    out.table(
        f"{run}: {found.recipe}, {found.state}",
        ["stage", "done", "steps", "seconds a step", "left"],
        [[s.name, s.done, s.steps, _rounded(s.seconds_a_step), _span(s.seconds_left)] for s in found.stages],
    )
    out.line("  ".join(f"{name} {value:.4g}" for name, value in found.terms.items()) or "no step is logged yet")
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
