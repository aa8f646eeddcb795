"""``idol bench``: score a checkpoint on prepared clips, or any folder of clips against another."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli import _defaults
from cli._output import Output
from cli._place import DeviceOption, DtypeOption
from cli.bench import commands

_HELP = """Generate on held-out clips and score, or score any two folders: [bold]--samples A --reference B[/bold]."""


def register(app: typer.Typer) -> None:
    """Add ``idol bench`` and the commands below it."""
    bench = typer.Typer(help=_HELP, invoke_without_command=True, rich_markup_mode="rich")
    bench.callback()(_bench)
    commands.register(bench)
    app.add_typer(bench, name="bench")


def _bench(
    context: typer.Context,
    ckpt: Annotated[str | None, typer.Option(help="Checkpoint folder or hub id [default: the shipped one].")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Prepared clips [default: ./data, else 16 synthetic dancers].")
    ] = None,
    samples: Annotated[
        list[Path] | None, typer.Option(help="Score this folder of clips instead of a checkpoint; repeat it for rows.")
    ] = None,
    row: Annotated[list[str] | None, typer.Option(help="Name of the row of each --samples, in order.")] = None,
    reference: Annotated[Path | None, typer.Option(help="The true clips for --samples.")] = None,
    split: Annotated[
        Literal["train", "val", "test", "all"] | None, typer.Option(help="Clips to take [default: test].")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many clips.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first so many frames of a clip.")] = None,
    size: Annotated[int | None, typer.Option(min=16, help="Bring the reference to this square size.")] = None,
    metrics: Annotated[
        str, typer.Option(help="all, or names; `idol bench metrics` lists them; -NAME takes one away.")
    ] = "all",
    protocol: Annotated[str, typer.Option(help="A name of `idol bench protocols`, or a JSON file.")] = "idol-8",
    snippet: Annotated[int | None, typer.Option(min=2, help="Other frames of a snippet.")] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="Other frames between the starts of snippets.")] = None,
    padding: Annotated[
        Literal["none", "repeat-last"] | None, typer.Option(help="What is done about frames that fill no snippet.")
    ] = None,
    container: Annotated[
        Literal["none", "gif-3fps", "mp4-imageio"] | None, typer.Option(help="Emulate a lossy container.")
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Refuse lossy pictures and videos.")] = False,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="fid=FILE, fvd=FILE, fid_fvd=FILE, lpips-alex=FILE; repeat it [default: random weights]. "
            "Also those of --infer-depth, such as hdnet=FILE."
        ),
    ] = None,
    weights_seed: Annotated[int, typer.Option(min=0, help="Seed of random extractor weights.")] = 0,
    infer_depth: Annotated[
        str | None, typer.Option(help="Estimate the samples' depth from their frames by this annotator, as a row.")
    ] = None,
    pose: Annotated[str | None, typer.Option(help="Find poses again by this annotator (pose adherence).")] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Draws of videos for intervals of Frechet distances; 0: no intervals.")
    ] = 100,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Frechet distances for endless samples too.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Generate so many times, by seeds; mean and spread.")] = 1,
    train_data: Annotated[Path | None, typer.Option(help="Training clips, for the baseline 'mean depth'.")] = None,
    baselines: Annotated[bool, typer.Option(help="Trivial answers as rows; alignment always has its ceiling.")] = True,
    complexity: Annotated[
        bool | None, typer.Option(help="Parameters, FLOPs, seconds, memory [default: yes, of a checkpoint].")
    ] = None,
    paper: Annotated[int, typer.Option(min=0, max=8, help="The paper's table shown below; 0 is none.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps [default: the recipe's].")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance; 1 is none [default: the recipe's].")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Decides all random numbers [default: 0].")] = None,
    background: Annotated[
        Literal["auto", "reference", "plate"],
        typer.Option(help="First frame without its person, or the clean plate [default: the recipe's; both if mixed]."),
    ] = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for samples and scores.")] = None,
    to: Annotated[list[Path] | None, typer.Option(help="Also write FILE.md, .tex, .html or .json; repeat it.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="The same as --to FILE.md.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Rows side by side on worst and median clips, as FILE.png or FILE.html.")
    ] = None,
    sheet_by: Annotated[str, typer.Option(help="The metric that chooses the clips of --sheet.")] = "auto",
    shard: Annotated[str | None, typer.Option(help="Do part I of N, then `idol bench merge`: 2/8.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Threads that read clips ahead.")] = 1,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Of extractors; bfloat16 states its error.")
    ] = "float32",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from cli.bench import run
    from cli.bench.config import Asked, parted_weights
    from cli.bench.deliver import Report
    from cli.bench.documents import check_ending
    from cli.bench.sheet import SheetWish

    out = Output.of(json=as_json)
    files = [*(to or []), *([markdown] if markdown else [])]
    for file in files:
        check_ending(file)
    extractors, own_weights = parted_weights(weights or [])
    _check_annotator(infer_depth, own_weights)
    changes: dict[str, Any] = {"snippet": snippet, "stride": stride, "padding": padding, "container": container}
    asked = Asked(
        protocol=protocol,
        changes=changes | {"size": size, "frames": frames},
        metrics=metrics,
        weights=extractors,
        weights_seed=weights_seed,
        device=device,
        precision=precision,
        bootstrap=bootstrap,
        extrapolate=extrapolate,
        workers=workers,
    )
    task = run.Task(
        config=asked.config(),
        report=Report(folder=output, files=files, paper=paper or None),
        shard=shard,
        sheet=None if sheet is None else SheetWish(file=sheet, by=sheet_by),
        choice={
            "split": split,
            "limit": limit,
            "train_data": train_data,
            "baselines": baselines,
            "infer_depth": infer_depth,
            "own_weights": own_weights,
            "pose": pose,
        },
    )
    if samples or reference is not None:
        kind = None if background == "auto" else background
        given = {"--ckpt": ckpt, "--data": data, "--steps": steps, "--guidance": guidance, "--seed": seed}
        run.refuse_with_samples(
            given
            | {"--background": kind, "--complexity": complexity or None, "--repeat": repeat if repeat > 1 else None}
            | {"--dtype": None if dtype == "auto" else dtype}
        )
        run.score_folders(
            out, task, run.Folders(samples=samples or [], names=row or [], reference=reference, lossless=lossless)
        )
        return
    if row:
        raise ValueError("--row: names a folder of --samples; give both, with --reference")
    generation = run.Generation(
        checkpoint=_defaults.checkpoint(ckpt),
        data=data,
        settings={"steps": steps, "guidance": guidance, "background": background, "dtype": dtype},
        seeds=[(seed or 0) + number for number in range(repeat)],
        complexity=complexity is not False,
    )
    run.score_checkpoint(out, task, generation)


def _check_annotator(infer_depth: str | None, weights: dict[str, Path]) -> None:
    """Say what is missing before anything is generated or read."""
    if infer_depth is not None:
        from cli.bench.annotators import makers_of
        from idol_prep import annotators
        from idol_prep.annotators.weights import Weights

        annotators.check_weights(makers_of(infer_depth).items(), Weights(weights))
    elif weights:
        raise ValueError(f"--weights {next(iter(weights))}: is of an annotator of depth; name it with --infer-depth")
