"""``idol bench``: score a checkpoint on prepared clips, or any folder of clips against another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import _defaults
from cli._output import Output

if TYPE_CHECKING:
    from idol_eval.baselines import Candidate
    from idol_eval.bench import BenchConfig, Row
    from idol_eval.complexity import Complexity
    from idol_eval.samples import ClipSet

_PAPER_NAMES = ("IDOL",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What is shown and written at the end. ``folder`` None writes nothing of its own accord."""

    folder: Path | None
    markdown: Path | None
    paper: int | None


def register(app: typer.Typer) -> None:
    """Add ``idol bench``."""
    app.command("bench", help="Generate on held-out clips and score, or score any two folders.")(_bench)


def _bench(
    ckpt: Annotated[str | None, typer.Option(help="Checkpoint folder or hub id [default: the shipped one].")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Prepared clips [default: ./data, else 16 synthetic dancers].")
    ] = None,
    samples: Annotated[Path | None, typer.Option(help="Score this folder of clips instead of a checkpoint.")] = None,
    reference: Annotated[Path | None, typer.Option(help="The true clips for --samples.")] = None,
    split: Annotated[
        Literal["train", "val", "test", "all"] | None, typer.Option(help="Clips to take [default: test].")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many clips.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first so many frames of a clip.")] = None,
    size: Annotated[int | None, typer.Option(min=16, help="Bring the reference to this square size.")] = None,
    metrics: Annotated[
        str, typer.Option(help="all, or from fid_fvd, fvd, depth, silhouette, fid, psnr, ssim, temporal.")
    ] = "all",
    snippet: Annotated[int, typer.Option(min=2, help="Frames of a snippet for FVD and FID-FVD.")] = 8,
    stride: Annotated[int, typer.Option(min=1, help="Frames between the starts of snippets.")] = 1,
    weights: Annotated[
        list[str] | None, typer.Option(help="fid=FILE, fvd=FILE or fid_fvd=FILE; repeat it [default: random weights].")
    ] = None,
    weights_seed: Annotated[int, typer.Option(min=0, help="Seed of random extractor weights.")] = 0,
    train_data: Annotated[Path | None, typer.Option(help="Training clips, for the baseline 'mean depth'.")] = None,
    baselines: Annotated[bool, typer.Option(help="Trivial answers as rows.")] = True,
    complexity: Annotated[
        bool | None, typer.Option(help="Parameters, FLOPs, seconds, memory [default: yes, of a checkpoint].")
    ] = None,
    paper: Annotated[int, typer.Option(min=0, max=8, help="The paper's table shown below; 0 is none.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps [default: the recipe's].")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance; 1 is none [default: the recipe's].")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Decides all random numbers [default: 0].")] = None,
    background: Annotated[
        Literal["auto", "reference", "plate"],
        typer.Option(help="First frame without its person, or the clean plate [default: plate where there is one]."),
    ] = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for samples and scores.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the scores to this Markdown file.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to run.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    where = _device(device)
    config = _config(metrics, weights or [], where, {"snippet": snippet, "stride": stride, "size": size})
    config = _seeded(config, weights_seed, frames)
    if samples is not None or reference is not None:
        report = Report(folder=output, markdown=markdown, paper=paper or None)
        kind = None if background == "auto" else background
        given = {"--ckpt": ckpt, "--data": data, "--steps": steps, "--guidance": guidance, "--seed": seed}
        _refuse_with_samples(given | {"--background": kind, "--complexity": complexity or None})
        choice = _Choice(split=split, limit=limit, train_data=train_data, baselines=baselines)
        _score_folders(out, (samples, reference), config, choice, report)
        return
    from cli import _bench_checkpoint as run
    from cli import _bench_costs

    checkpoint = _defaults.checkpoint(ckpt)
    folder = _defaults.bench_folder(checkpoint.path, output)
    settings = run.Settings(seed=seed or 0, steps=steps, guidance=guidance, background=background)
    choice = run.Choice(data=data, split=split, limit=limit, train_data=train_data, baselines=baselines)
    result = run.run(out, checkpoint, folder, (settings, choice), config)
    made = result.record["generation"]
    costs = _bench_costs.costs(out, result.pipe, made, where) if complexity is not False else None
    report = Report(folder=folder.path, markdown=markdown, paper=paper or None)
    _deliver(out, result.rows, result.config, (result.reference, result.record), report, costs)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    split: str | None
    limit: int | None
    train_data: Path | None
    baselines: bool


def _config(metrics: str, weights: Sequence[str], device: str, changes: dict[str, Any]) -> "BenchConfig":
    """Protocol, metrics and weight files, checked before anything is loaded."""
    from idol_eval.bench import BenchConfig
    from idol_eval.catalogue import FEATURE_FAMILIES, choose
    from idol_eval.protocol import IDOL_8

    files = {}
    for text in weights:
        family, equals, file = text.partition("=")
        if not equals or family not in FEATURE_FAMILIES:
            raise ValueError(f"--weights {text}: give one of {', '.join(f'{name}=FILE' for name in FEATURE_FAMILIES)}")
        if not Path(file).is_file():
            raise FileNotFoundError(f"{file}: no such weight file (--weights {family})")
        files[family] = Path(file)
    return BenchConfig(protocol=IDOL_8.custom(**changes), families=choose(metrics), weights=files, device=device)


def _seeded(config: "BenchConfig", weights_seed: int, frames: int | None) -> "BenchConfig":
    from dataclasses import replace

    return replace(config, weights_seed=weights_seed, protocol=config.protocol.custom(frames=frames))


def _device(asked: str) -> str:
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; run `idol doctor`, or use --device cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked


def _refuse_with_samples(given: dict[str, Any]) -> None:
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise ValueError(f"{named[0]}: goes with a checkpoint, not with --samples and --reference; leave one out")


def _score_folders(
    out: Output,
    paths: tuple[Path | None, Path | None],
    config: "BenchConfig",
    choice: _Choice,
    report: Report,
) -> None:
    """``--samples A --reference B``."""
    from cli import _bench_baselines
    from idol_eval import samples as folders
    from idol_eval.bench import SampleCandidate
    from idol_eval.readers import SampleSet

    samples_path, reference_path = paths
    if samples_path is None or reference_path is None:
        lacking = "--samples" if samples_path is None else "--reference"
        raise ValueError(f"{lacking}: missing; give both --samples A and --reference B")
    mine = folders.open_set(samples_path)
    rule = mine.rule(mine.ids[0]) if isinstance(mine, SampleSet) else None
    split = None if choice.split == "all" else choice.split
    true = folders.open_set(reference_path, split=split, rule=rule)  # type: ignore[arg-type]
    pairing = folders.pair(mine, true, choice.limit)
    _defaults.announce(out, samples=samples_path, reference=reference_path, clips=f"{len(pairing.pairs)}")
    if pairing.unused:
        out.warn(f"{len(pairing.unused)} reference clips have no sample and are left out: {_few(pairing.unused)}")
    rows: list[Candidate] = [SampleCandidate.of(samples_path.name, mine, pairing, config.protocol.frames)]
    ids = [true_id for _, true_id in pairing.pairs]
    if choice.baselines:
        against = _bench_baselines.Against(reference=true, ids=ids, protocol=config.protocol)
        rows += _bench_baselines.rows(out, against, choice.train_data)
    scored = score(out, rows, true, ids, config)
    renamed = {own: other for own, other in pairing.pairs if own != other}
    for own, other in renamed.items():
        out.warn(f"{own} is compared with {other}, the only clip on either side")
    record = {"samples": mine.describe(), "without_sample": list(pairing.unused), "renamed": renamed}
    _deliver(out, scored, config, (true, record), report, None)


def score(
    out: Output, rows: "Sequence[Candidate]", reference: "ClipSet", ids: Sequence[str], config: "BenchConfig"
) -> "list[Row]":
    """`idol_eval.score` under a bar."""
    import idol_eval

    networks = ", ".join(config.feature_families) or "no networks"
    out.note(f"scoring     protocol {config.protocol.id}, {', '.join(config.families)} (features: {networks})")
    with out.progress(len(ids), "scoring") as bar:
        return idol_eval.score(rows, reference, ids, config, lambda at: bar.update(at.done, note=at.what))


def _deliver(
    out: Output,
    rows: "Sequence[Row]",
    config: "BenchConfig",
    about: "tuple[ClipSet, dict[str, Any]]",
    report: Report,
    costs: "Complexity | None",
) -> None:
    """Tables on the terminal, files, JSON."""
    import dataclasses
    import json

    from idol_eval import paper_values
    from idol_eval import report as writing

    reference, record = about
    out.table("Scores", *writing.cells(rows, writing.BRIEF))
    for text in writing.remarks(rows):
        out.line(text)
    if costs is not None:
        out.table("Cost", *writing.complexity_cells(costs))
    paper = _paper_rows(report.paper)
    if paper:
        out.table(paper_values.MARK.capitalize(), *writing.cells(paper))
    result = writing.to_json([*rows, *paper], config.protocol, reference.describe()) | record
    if costs is not None:
        result["complexity"] = dataclasses.asdict(costs)
    text = writing.markdown(rows, config.protocol, costs, paper)
    files = {report.markdown: text} if report.markdown else {}
    if report.folder is not None:
        files |= {report.folder / "scores.md": text, report.folder / "scores.json": json.dumps(result, indent=2) + "\n"}
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        out.line(str(file))
    out.result(result)


def _paper_rows(table: int | None) -> "list[Row]":
    """The paper's own method in table 1, every row of the other tables."""
    from idol_eval import paper_values

    if table is None:
        return []
    return paper_values.as_rows(paper_values.select(table, names=_PAPER_NAMES if table == 1 else ()))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
