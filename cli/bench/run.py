"""The two kinds of ``idol bench``, from parsed options to what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import _defaults
from cli._output import Output
from cli.bench import folders, sheet
from cli.bench.deliver import Findings, Report, deliver
from cli.bench.scoring import Place
from idol_eval.bench import BenchConfig
from idol_eval.shards import Shard

if TYPE_CHECKING:
    from cli.bench.sheet import SheetWish
    from idol_eval.baselines import Candidate
    from idol_eval.protocol import Protocol
    from idol_eval.row import Row
    from idol_eval.samples import ClipSet
    from idol_eval.sheets import Panel


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What both kinds share. ``choice`` says which clips, and which rows beside the measured ones."""

    config: BenchConfig
    report: Report
    shard: str | None
    sheet: "SheetWish | None"
    choice: dict[str, Any]

    def place(self, folder: Path | None) -> Place:
        """Where features and shards are kept."""
        return Place(folder=folder, shard=None if self.shard is None else Shard.parse(self.shard))


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Sample folders with the names of their rows, and the true clips."""

    samples: Sequence[Path]
    names: Sequence[str]
    reference: Path | None
    lossless: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """A checkpoint, and how it generates; one set of samples a seed."""

    checkpoint: _defaults.Chosen
    data: Path | None
    settings: dict[str, Any]
    seeds: Sequence[int]
    complexity: bool


def score_folders(out: Output, task: Task, given: Folders) -> None:
    """``--samples A --reference B``."""
    choice = folders.Choice(
        samples=given.samples,
        names=given.names,
        reference=given.reference,
        lossless=given.lossless,
        **task.choice,
    )
    found = folders.run(out, choice, task.config, task.place(task.report.folder))
    if not found.rows:
        _say_shard(out, task, task.report.folder)
        return
    findings = Findings(
        rows=found.rows,
        protocol=task.config.protocol,
        reference=found.reference.describe(),
        record=found.record,
        panels=_pictures(out, task, found.rows, found.candidates, (found.reference, task.config.protocol)),
    )
    deliver(out, findings, task.report)


def score_checkpoint(out: Output, task: Task, given: Generation) -> None:
    """A checkpoint on prepared clips."""
    from cli.bench import checkpoint, costs

    folder = _defaults.bench_folder(given.checkpoint.path, task.report.folder)
    task = replace(task, report=replace(task.report, folder=folder.path))
    settings = checkpoint.Settings(seed=given.seeds[0], **given.settings)
    choice = checkpoint.Choice(data=given.data, repeats=given.seeds[1:], **task.choice)
    result = checkpoint.run(out, given.checkpoint, folder, (settings, choice), task.config, task.place(folder.path))
    if not result.rows:
        _say_shard(out, task, folder.path)
        return
    made = result.record["generation"]
    cost = costs.costs(out, result.pipe, made, task.config.device) if given.complexity else None
    findings = Findings(
        rows=result.rows,
        protocol=result.config.protocol,
        reference=result.reference.describe(),
        record=result.record,
        costs=cost,
        panels=_pictures(out, task, result.rows, result.candidates, (result.reference, result.config.protocol)),
    )
    deliver(out, findings, task.report)


def _pictures(
    out: Output,
    task: Task,
    rows: "Sequence[Row]",
    candidates: "Sequence[Candidate]",
    about: "tuple[ClipSet, Protocol]",
) -> "Sequence[Panel]":
    """Worst and median clips, where a sheet or a page wants them and a metric can choose them."""
    from idol_eval.samples import SampleError

    if task.sheet is None and not task.report.has_page:
        return ()
    try:
        drawn = sheet.draw(rows, candidates, about, "auto" if task.sheet is None else task.sheet.by)
    except SampleError:
        if task.sheet is not None:
            raise
        return ()  # nothing was measured clip by clip, and nobody asked for a sheet
    if task.sheet is not None:
        sheet.write(out, task.sheet, drawn)
    return drawn.panels


def refuse_with_samples(given: dict[str, Any]) -> None:
    """Options that only mean something for a checkpoint."""
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise ValueError(f"{named[0]}: goes with a checkpoint, not with --samples and --reference; leave one out")


def _say_shard(out: Output, task: Task, folder: Path | None) -> None:
    assert task.shard is not None  # only a shard comes without rows
    shard = Shard.parse(task.shard)
    home = (folder or Path()) / shard.folder
    out.line(f"{home}")
    out.note(f"when all {shard.count} shards are done: idol bench merge {folder}")
    out.result({"shard": f"{shard.number}/{shard.count}", "folder": home})
