"""What every source of ``idol prep`` does: announce, plan or prepare, and tell what came of it."""

from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from cli import _defaults
from cli._output import Bar, Output
from cli._prep_options import Wanted

if TYPE_CHECKING:
    from idol_prep.planning import Plan
    from idol_prep.prep_options import PrepOptions, Progress, Summary
    from idol_prep.sources import Source


def prepare_source(source: "Source", raw: Path, wanted: Wanted) -> None:
    """Prepare what ``wanted`` says of ``source``, which was opened from ``raw``."""
    out = Output.of(json=wanted.as_json)
    options, engine = wanted.options(source), wanted.made_engine()
    chosen = _defaults.prepared(source.name, wanted.output)
    clips = len(source.clips())
    shard = "" if options.shard == (1, 1) else f", shard {options.shard[0]} of {options.shard[1]}"
    _defaults.announce(
        out,
        input=f"{raw} ({clips} {'clip' if clips == 1 else 'clips'}{shard})",
        output=chosen,
        pose=options.pose,
        mask=options.mask,
        depth=options.depth + _approximate(options) + _with_densepose(options, source),
        pictures=f"{options.size} pixels, crop {options.crop}",
    )
    if wanted.dry_run:
        _plan(out, source, chosen.path, options)
        return
    from idol_prep.pipeline import prepare

    with _WorkBar(out, source, options.shard) as bar:
        summary = prepare(source, chosen.path, options, bar.told, engine)
    _summarise(out, summary)


def _approximate(options: "PrepOptions") -> str:
    """A note where the depth is none of a measuring kind."""
    from idol_prep import annotators

    known = [row.info for row in annotators.readiness() if row.info.kind == "depth" and row.info.name == options.depth]
    return " (an approximation, labelled so in the dataset)" if any(info.approximate for info in known) else ""


def _with_densepose(options: "PrepOptions", source: "Source") -> str:
    """Who makes the DensePose that the depth needs, where the source ships none."""
    from idol_prep import annotators

    maker = annotators.densepose_for(options.depth, source.ships)
    return f", from body surfaces by {maker}" if maker else ""


class _WorkBar:
    """A bar of frames for a single video, of clips for many."""

    def __init__(self, out: Output, source: "Source", shard: tuple[int, int]) -> None:
        from idol_prep.pipeline import shard_of

        self._out = out
        self._clips = shard_of(source, shard)
        self._open: Any = None
        self._bar: Bar | None = None
        self._began = monotonic()

    def __enter__(self) -> "_WorkBar":
        total = self._frames_of_one() if len(self._clips) == 1 else len(self._clips)
        self._open = self._out.progress(total, "prepare")
        self._bar = self._open.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def told(self, progress: "Progress") -> None:
        """Called by the pipeline after each chunk of frames."""
        assert self._bar is not None
        if len(self._clips) == 1:
            self._bar.update(progress.frames_done, note=progress.clip)
            return
        rate = progress.frames_done / max(monotonic() - self._began, 1e-3)
        rejected = f", {progress.rejected} rejected" if progress.rejected else ""
        self._bar.update(progress.clips_done, note=f"{progress.clip}, {rate:.1f} frames/s{rejected}")

    def _frames_of_one(self) -> int | None:
        from idol_prep.schema import DataError

        try:
            return self._clips[0].look().frames
        except DataError:  # the pipeline will say so
            return None


def _plan(out: Output, source: "Source", path: Path, options: "PrepOptions") -> None:
    from idol_prep.planning import make_plan

    plan: Plan = make_plan(source, path, options)
    seconds = None if plan.seconds is None else round(plan.seconds, 1)
    names = ["clips", "finished", "unreadable", "frames", "of unknown length", "megabytes", "seconds of one worker"]
    counts = [plan.clips, plan.finished, len(plan.unreadable), plan.frames, plan.uncounted]
    out.table("Nothing was written; this would be done", names, [[*counts, megabytes(plan.bytes), seconds]])
    warn_of_room(out, path, plan.bytes)
    if plan.unreadable:
        out.table("Unreadable", ["clip", "reason"], [[clip, reason] for clip, reason in plan.unreadable.items()])
    out.result({"dry_run": True, "dataset": path, **asdict(plan)})


def megabytes(size: int | None) -> float | None:
    """Bytes for a table."""
    return None if size is None else round(size / 1e6, 1)


def warn_of_room(out: Output, path: Path, size: int | None) -> None:
    """Say so where the disk of ``path``, which need not exist yet, has no room for so many bytes."""
    from shutil import disk_usage

    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    free = disk_usage(there).free
    if size is not None and size > free:
        out.warn(f"{path}: {megabytes(size)} MB are needed and {megabytes(free)} are free; choose another disk with -o")


def _summarise(out: Output, summary: "Summary") -> None:
    counts = {
        "clips": summary.clips,
        "frames": summary.frames,
        "frames_with_person": summary.found_frames,
        "kept_before": summary.kept_before,
        "rejected_before": summary.rejected_before,
        "seconds": round(summary.seconds, 2),
    }
    report_counts(out, counts, summary.reasons())
    if summary.rejected:
        rows = [[clip, reason] for clip, reason in summary.rejected.items()]
        out.table("Left out (rejects.jsonl)", ["clip", "reason"], rows)
    if summary.approximate:
        out.line(f"approximate: {', '.join(summary.approximate)} (only stands in for the real quantity)")
    out.line(f"dataset: {summary.out}")
    out.result(
        {"dataset": summary.out, **counts, "rejected": summary.rejected, "approximate": list(summary.approximate)}
    )


def report_counts(out: Output, counts: dict[str, Any], reasons: dict[str, int]) -> None:
    """One row of counts, then one column for each kind of reject."""
    rate = round(counts["frames"] / counts["seconds"], 1) if counts["seconds"] else None
    names = [name.replace("_", " ") for name in counts]
    columns = [*names, "frames/s", *(f"rejected: {kind}" for kind in reasons)]
    out.table("Prepared", columns, [[*counts.values(), rate, *reasons.values()]])
