"""``idol prep verify`` and ``idol prep report``: is a prepared dataset whole, and is it good?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli import _defaults
from cli._output import Output

DataArgument = Annotated[Path | None, typer.Argument(help="A prepared dataset (default: the one under data/).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")]


def register(prep: typer.Typer) -> None:
    """Add both to ``idol prep``."""
    prep.command("verify", help="Recount and rehash clips, or shards of pictures; check that tracks fit.")(_verify)
    prep.command("report", help="One page with every clip's overlays and scores, the worst first.")(_report)


def _report(
    data: DataArgument = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Page to write (default: report.html in the dataset).")
    ] = None,
    worst: Annotated[int | None, typer.Option(min=1, help="Show only so many, the worst ones (default: all).")] = None,
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.reporting import write_report

    chosen = _defaults.data(data)
    page = output or chosen.path / "report.html"
    _defaults.announce(out, data=chosen, output=page)
    with out.progress(None, "report") as bar:
        shown = write_report(chosen.path, page, worst, lambda done, total: bar.update(done, total=total))
    for clip, reason in shown.damaged.items():
        out.warn(f"{clip}: {reason}")
    out.line(
        f"report: {page}" + (f" (the {shown.clips} worst of {shown.all} clips)" if shown.clips < shown.all else "")
    )
    out.result({"dataset": chosen.path, "report": page, **asdict(shown)})


def _verify(data: DataArgument = None, as_json: JsonOption = False) -> None:
    out = Output.of(json=as_json)
    from idol_prep.stills import is_set
    from idol_prep.verifying import verify, verify_stills

    chosen = _defaults.data(data)
    _defaults.announce(out, data=chosen)
    check = verify_stills if is_set(chosen.path) else verify
    with out.progress(None, "verify") as bar:
        verdict = check(chosen.path, lambda done, total: bar.update(done, total=total))
    if verdict.problems:
        rows = [[clip or "(dataset)", problem] for clip, problem in verdict.problems]
        out.table("Wrong", ["clip", "what"], rows)
    out.table("Verified", ["clips", "frames", "problems"], [[verdict.clips, verdict.frames, len(verdict.problems)]])
    problems = [{"clip": clip, "problem": problem} for clip, problem in verdict.problems]
    out.result({"dataset": chosen.path, "clips": verdict.clips, "frames": verdict.frames, "problems": problems})
    if verdict.problems:
        raise typer.Exit(1)
