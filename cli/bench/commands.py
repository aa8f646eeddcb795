"""Below ``idol bench``: table, merge, cost, protocols, metrics, convert-i3d."""

from pathlib import Path
from typing import Annotated

import typer

from cli._output import Output
from cli._place import DeviceOption, DtypeOption, place

JsonOption = Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")]
ToOption = Annotated[list[Path] | None, typer.Option(help="Also write FILE.md, .tex, .html or .json; repeat it.")]


def register(bench: typer.Typer) -> None:
    """Add the commands."""
    bench.command("table", help="A table of the paper, with what was measured beside it and gaps named.")(_table)
    bench.command("merge", help="Join the shards of one benchmark.")(_merge)
    bench.command("cost", help="Table 7 of recipes: parameters, FLOPs, and ratios in one run.")(_cost)
    bench.command("protocols", help="The named protocols.")(_protocols)
    bench.command("metrics", help="Every number, what --metrics calls it, which way is better.")(_metrics)
    bench.command("convert-i3d", help="A TorchScript I3D as safetensors, compared with what it computes.")(_convert)


def _table(
    number: Annotated[int, typer.Argument(min=1, max=8, help="1 to 8.")],
    scores: Annotated[
        list[Path] | None, typer.Option(help="A scores.json or costs.json; repeat it [default: all under out/bench].")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="tiktok or ntu120 [default: both].")] = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> None:
    from cli.bench import table

    table.show(Output.of(json=as_json), number, scores, dataset, to or [])


def _merge(
    folders: Annotated[list[Path], typer.Argument(help="What `idol bench --shard I/N -o FOLDER` wrote.")],
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Draws of videos for intervals of Frechet distances; 0: no intervals.")
    ] = 100,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Frechet distances for endless samples too.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the scores.")] = None,
    to: ToOption = None,
    paper: Annotated[int, typer.Option(min=0, max=8, help="The paper's table shown below; 0 is none.")] = 1,
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from cli.bench import sheet
    from cli.bench.deliver import Findings, Report, deliver
    from cli.bench.documents import check_ending
    from idol_eval import shards
    from idol_eval.config import BenchConfig

    for file in to or []:
        check_ending(file)
    found = shards.find(folders)
    out.note(f"merging     {len(found)} shards")
    merged = shards.merge(found, BenchConfig(bootstrap=bootstrap, extrapolate=extrapolate))
    findings = Findings(
        rows=merged.rows,
        protocol=merged.protocol,
        reference=merged.evidence.reference,
        record={"shards": [str(folder) for folder in found]},
        panels=sheet.kept_worst(found, merged.rows),
    )
    deliver(out, findings, Report(folder=output, files=to or [], paper=paper or None))


def _cost(
    recipes: Annotated[list[str] | None, typer.Argument(help="Recipes [default: idol ldm3d mm-diffusion].")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = 8,
    guidance: Annotated[float | None, typer.Option(help="Guidance; 1 is none [default: each recipe's].")] = None,
    timed: Annotated[bool, typer.Option("--time", help="Also run whole generations: seconds and memory.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps of a generation.")] = 50,
    timed_steps: Annotated[
        int | None, typer.Option(help="Run only so many of them and extrapolate; the row says so.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed generations after one step that warms up.")] = 3,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "auto",
    to: ToOption = None,
    as_json: JsonOption = False,
) -> None:
    from cli.bench import costs
    from cli.bench.generation import Generation

    where = place(device, dtype)
    whole = Generation(
        frames=frames,
        steps=steps,
        timed_steps=timed_steps,
        guidance=guidance,
        repeats=repeats,
        device=where.device.type,
        dtype=where.dtype_name,
    )
    chosen = recipes or ["idol", "ldm3d", "mm-diffusion"]
    costs.table(Output.of(json=as_json), chosen, costs.How(generation=whole, timed=timed), to or [])


def _protocols(as_json: JsonOption = False) -> None:
    out = Output.of(json=as_json)
    from idol_eval.protocol import protocols

    rows = [
        [one.id, one.snippet, one.stride, one.windows, one.container, one.covariance, one.summary]
        for one in protocols().values()
    ]
    out.table("Protocols", ["name", "snippet", "stride", "windows", "container", "covariance", "what it is"], rows)
    out.result({"protocols": [one.to_dict() for one in protocols().values()]})


def _metrics(as_json: JsonOption = False) -> None:
    out = Output.of(json=as_json)
    from dataclasses import asdict

    from idol_eval.catalogue import METRICS

    out.table("Metrics", ["--metrics", "key", "column"], [[one.family, one.key, one.heading] for one in METRICS])
    out.result({"metrics": [asdict(one) for one in METRICS]})


def _convert(
    file: Annotated[Path, typer.Argument(help="i3d_torchscript.pt, or another TorchScript I3D.")],
    target: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    trust: Annotated[
        bool, typer.Option("--trust", help="Also run a file that is not the published one; it holds a program.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_eval.features.torchscript import convert

    found = convert(file, target, trust=trust)
    out.line(
        f"{target}: {found.tensors} tensors of {found.source}, equal to {found.difference:.1e} of the largest logit"
    )
    out.note(f"use it with: idol bench --weights fvd={target}")
    out.result({"file": target, "source": found.source, "tensors": found.tensors, "difference": found.difference})
