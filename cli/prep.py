"""``idol prep``: raw pictures and videos become prepared clips."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import _defaults
from cli._output import Bar, Output

if TYPE_CHECKING:
    from idol_prep.planning import Plan
    from idol_prep.prep_options import PrepOptions, Progress, Summary
    from idol_prep.sources import Source

_AUTO = "auto"
_OFFLINE = {"mask": "mediapipe", "depth": "landmarks"}
"""What ``auto`` means where the dataset ships nothing."""

OutOption = Annotated[Path | None, typer.Option("--output", "-o", help="Dataset folder (default: data/SOURCE).")]
SizeOption = Annotated[int, typer.Option(help="Side of the pictures in pixels; a multiple of 8.")]
CropOption = Annotated[str, typer.Option(help="person: a steady square around the person; center; none.")]
PoseOption = Annotated[str, typer.Option(help="Pose annotator; `idol prep annotators` lists them.")]
MaskOption = Annotated[str, typer.Option(help="Mask annotator; auto: the dataset's own, else mediapipe.")]
DepthOption = Annotated[
    str, typer.Option(help="Depth annotator; auto: the dataset's own, else landmarks (an approximation).")
]
PolarityOption = Annotated[str, typer.Option(help="Of shipped depth: distance (larger is farther) or inverse.")]
ClipFramesOption = Annotated[int, typer.Option(help="Longest clip; longer videos become several.")]
ShardOption = Annotated[str, typer.Option(help="Do part I of N, counted from 1: 2/8.")]
RetryOption = Annotated[bool, typer.Option("--retry-rejects", help="Try again what was rejected before.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and how long it takes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add ``idol prep``."""
    prep = typer.Typer(no_args_is_help=True, help="Turn raw material into prepared clips; run again to continue.")
    prep.command("tiktok", help="The TikTok dataset as published.")(_tiktok)
    prep.command("folder", help="Any videos: one file, or a folder with all below it.")(_folder)
    prep.command("synthetic", help="Procedural dancers with exact pose, mask and depth.")(_synthetic)
    prep.command("annotators", help="What finds poses, masks and depth, and whether it is ready.")(_annotators)
    app.add_typer(prep, name="prep")


def _tiktok(
    raw: Annotated[Path, typer.Argument(help="The unpacked dataset: 00001/images/0001.png in it or below.")],
    output: OutOption = None,
    split: Annotated[
        str, typer.Option(help="disco-public (1-334 train, 335-340 test) or a split file.")
    ] = "disco-public",
    size: SizeOption = 256,
    crop: CropOption = "person",
    pose: PoseOption = "mediapipe",
    mask: MaskOption = _AUTO,
    depth: DepthOption = _AUTO,
    depth_polarity: PolarityOption = "distance",
    clip_frames: ClipFramesOption = 1024,
    shard: ShardOption = "1/1",
    retry_rejects: RetryOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.sources.tiktok import TikTokSource

    source = TikTokSource.open(raw, split=split)
    options = _options(
        source,
        mask=mask,
        depth=depth,
        shard=shard,
        size=size,
        crop=crop,
        pose=pose,
        depth_polarity=depth_polarity,
        clip_frames=clip_frames,
        retry="all" if retry_rejects else "none",
    )
    _run(out, source, raw, _defaults.prepared("tiktok", output), options, dry_run=dry_run)


def _folder(
    videos: Annotated[Path, typer.Argument(help="A video, or a folder of videos (mp4, mov, mkv, avi, webm).")],
    output: OutOption = None,
    fps: Annotated[float | None, typer.Option(help="Thin the videos to this rate (default: their own).")] = None,
    split: Annotated[
        Path | None, typer.Option(help="Split file: JSON, or lines `id split` (default: all train).")
    ] = None,
    size: SizeOption = 256,
    crop: CropOption = "person",
    pose: PoseOption = "mediapipe",
    mask: MaskOption = _AUTO,
    depth: DepthOption = _AUTO,
    clip_frames: ClipFramesOption = 1024,
    shard: ShardOption = "1/1",
    retry_rejects: RetryOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from idol_prep.sources.folder import FolderSource

    source = FolderSource.open(videos, fps=fps, split_file=split)
    options = _options(
        source,
        mask=mask,
        depth=depth,
        shard=shard,
        size=size,
        crop=crop,
        pose=pose,
        clip_frames=clip_frames,
        retry="all" if retry_rejects else "none",
    )
    _run(out, source, videos, _defaults.prepared("folder", output), options, dry_run=dry_run)


def _synthetic(
    output: OutOption = None,
    clips: Annotated[int, typer.Option(min=1, help="How many dancers.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same dancers everywhere.")] = 0,
    size: SizeOption = 128,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each clip.")] = 16,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 12.0,
    split: Annotated[str, typer.Option(help="train (every 20th clip is val) or test.")] = "train",
    as_json: JsonOption = False,
) -> None:
    out = Output.of(json=as_json)
    from time import monotonic

    from idol_prep.schema import DataError
    from idol_prep.sources import synthetic

    if split not in ("train", "test"):
        raise DataError(f"unknown split {split!r}; synthetic dancers are made for train or test")
    chosen = _defaults.prepared("synthetic", output)
    _defaults.announce(out, dancers=f"{clips} clips of {frames} frames, {size} x {size}, seed {seed}", output=chosen)
    started, last = monotonic(), synthetic.Progress(0, clips, 0)
    with out.progress(clips, "synthetic") as bar:

        def told(progress: synthetic.Progress) -> None:
            nonlocal last
            last = progress
            bar.update(progress.done)

        dataset = synthetic.generate(
            chosen.path, clips, seed, size=(size, size), frames=frames, fps=fps, split=split, progress=told
        )
    made = last.done - last.skipped
    counts = {
        "clips": made,
        "frames": made * frames,
        "kept_before": last.skipped,
        "seconds": round(monotonic() - started, 2),
    }
    _report(out, counts, {})
    out.line(f"dataset: {chosen.path}")
    out.result({"dataset": chosen.path, "content_hash": dataset.content_hash, **counts, "rejected": {}})


def _annotators(as_json: JsonOption = False) -> None:
    out = Output.of(json=as_json)
    from idol_prep import annotators

    rows = annotators.readiness()
    out.table(
        "Annotators",
        ["track", "name", "ready", "version", "licence", "note"],
        [
            [
                row.info.kind,
                row.info.name,
                "yes" if row.ready else f"no: {row.missing}",
                row.info.version,
                row.info.licence,
                row.info.note,
            ]
            for row in rows
        ],
    )
    out.result({"annotators": [row.info.to_dict() | {"ready": row.ready, "missing": row.missing} for row in rows]})


def _options(source: "Source", *, mask: str, depth: str, shard: str, **others: Any) -> "PrepOptions":
    """The options of a run, with ``auto`` settled by what the source ships."""
    from idol_prep.prep_options import PrepOptions

    def settled(track: str, name: str) -> str:
        if name != _AUTO:
            return name
        return "dataset" if source.ships(track) else _OFFLINE[track]

    return PrepOptions(mask=settled("mask", mask), depth=settled("depth", depth), shard=_shard(shard), **others)


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit()):
        raise ValueError(f"--shard {text} is no part; write I/N, such as 2/8")
    return int(number), int(count)


def _run(
    out: Output, source: "Source", raw: Path, chosen: _defaults.Chosen, options: "PrepOptions", *, dry_run: bool
) -> None:
    clips = len(source.clips())
    shard = "" if options.shard == (1, 1) else f", shard {options.shard[0]} of {options.shard[1]}"
    _defaults.announce(
        out,
        input=f"{raw} ({clips} {'clip' if clips == 1 else 'clips'}{shard})",
        output=chosen,
        pose=options.pose,
        mask=options.mask,
        depth=options.depth + _approximate(options),
        pictures=f"{options.size} pixels, crop {options.crop}",
    )
    if dry_run:
        _plan(out, source, chosen.path, options)
        return
    from idol_prep.pipeline import prepare

    with _WorkBar(out, source, options.shard) as bar:
        summary = prepare(source, chosen.path, options, bar.told)
    _summarise(out, summary)


def _approximate(options: "PrepOptions") -> str:
    """A note where the depth is none of a measuring kind."""
    from idol_prep import annotators

    known = [row.info for row in annotators.readiness() if row.info.kind == "depth" and row.info.name == options.depth]
    return " (an approximation, labelled so in the dataset)" if any(info.approximate for info in known) else ""


class _WorkBar:
    """A bar of frames for a single video, of clips for many."""

    def __init__(self, out: Output, source: "Source", shard: tuple[int, int]) -> None:
        from idol_prep.pipeline import shard_of

        self._out = out
        self._clips = shard_of(source, shard)
        self._open: Any = None
        self._bar: Bar | None = None

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
        else:
            self._bar.update(progress.clips_done, note=f"{progress.clip}, {progress.frames_done} frames so far")

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
    out.table(
        "Nothing was written; this would be done",
        ["clips", "finished", "unreadable", "frames", "of unknown length", "megabytes", "seconds"],
        [
            [
                plan.clips,
                plan.finished,
                len(plan.unreadable),
                plan.frames,
                plan.uncounted,
                round(plan.bytes / 1e6, 1),
                seconds,
            ]
        ],
    )
    if plan.unreadable:
        out.table("Unreadable", ["clip", "reason"], [[clip, reason] for clip, reason in plan.unreadable.items()])
    out.result({"dry_run": True, "dataset": path, **asdict(plan)})


def _summarise(out: Output, summary: "Summary") -> None:
    counts = {
        "clips": summary.clips,
        "frames": summary.frames,
        "frames_with_person": summary.found_frames,
        "kept_before": summary.kept_before,
        "rejected_before": summary.rejected_before,
        "seconds": round(summary.seconds, 2),
    }
    _report(out, counts, summary.reasons())
    if summary.rejected:
        rows = [[clip, reason] for clip, reason in summary.rejected.items()]
        out.table("Left out (rejects.jsonl)", ["clip", "reason"], rows)
    if summary.approximate:
        out.line(f"approximate: {', '.join(summary.approximate)} (only stands in for the real quantity)")
    out.line(f"dataset: {summary.out}")
    out.result(
        {"dataset": summary.out, **counts, "rejected": summary.rejected, "approximate": list(summary.approximate)}
    )


def _report(out: Output, counts: dict[str, Any], reasons: dict[str, int]) -> None:
    """One row of counts, then one column for each kind of reject."""
    rate = round(counts["frames"] / counts["seconds"], 1) if counts["seconds"] else None
    names = [name.replace("_", " ") for name in counts]
    columns = [*names, "frames/s", *(f"rejected: {kind}" for kind in reasons)]
    out.table("Prepared", columns, [[*counts.values(), rate, *reasons.values()]])
