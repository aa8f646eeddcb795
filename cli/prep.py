"""``idol prep``: raw pictures and videos become prepared clips."""

from pathlib import Path
from typing import Annotated

import typer

from cli import _defaults, _prep_annotators, _prep_check, _prep_convert, _prep_disco, _prep_pack, _prep_stills
from cli._output import Output
from cli._prep_options import Wanted, shared_options
from cli._prep_run import prepare_source, report_counts

SizeOption = Annotated[int, typer.Option(help="Side of the pictures in pixels; a multiple of 8.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add ``idol prep``."""
    prep = typer.Typer(no_args_is_help=True, help="Turn raw material into prepared clips; run again to continue.")
    prep.command("tiktok", help="The TikTok dataset as published.")(_tiktok)
    prep.command("folder", help="Any videos: one file, or a folder with all below it.")(_folder)
    prep.command("ntu120", help="NTU RGB+D 120, straight from its archives.")(_ntu120)
    prep.command("synthetic", help="Procedural dancers with exact pose, mask and depth.")(_synthetic)
    _prep_disco.register(prep)
    _prep_stills.register(prep)
    _prep_check.register(prep)
    _prep_pack.register(prep)
    _prep_annotators.register(prep)
    _prep_convert.register(prep)
    app.add_typer(prep, name="prep")


@shared_options
def _tiktok(
    raw: Annotated[Path, typer.Argument(help="The unpacked dataset: 00001/images/0001.png in it or below.")],
    split: Annotated[
        str,
        typer.Option(
            help="disco-public (335-340 test), paper-like (331-340 test: ten, as in the paper), or a split file."
        ),
    ] = "disco-public",
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.tiktok import TikTokSource

    prepare_source(TikTokSource.open(raw, split=split, densepose=wanted.depth == "hdnet"), raw, wanted)


@shared_options
def _folder(
    videos: Annotated[Path, typer.Argument(help="A video, or a folder of videos (mp4, mov, mkv, avi, webm).")],
    fps: Annotated[float | None, typer.Option(help="Thin the videos to this rate (default: their own).")] = None,
    split: Annotated[
        Path | None, typer.Option(help="Split file: JSON, or lines `id split` (default: all train).")
    ] = None,
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.folder import FolderSource

    prepare_source(FolderSource.open(videos, fps=fps, split_file=split), videos, wanted)


@shared_options
def _ntu120(
    raw: Annotated[
        Path, typer.Argument(help="Where nturgbd_rgb_s001.zip and so on lie, skeletons too if you have them.")
    ],
    select: Annotated[
        str, typer.Option(help="idol-like (588/72, people and places apart), all, or a split file.")
    ] = "idol-like",
    train: Annotated[int, typer.Option(min=1, help="Training clips of the rule.")] = 588,
    test: Annotated[int, typer.Option(min=1, help="Test clips of the rule.")] = 72,
    seed: Annotated[int, typer.Option(help="Of the rule: another seed is another choice.")] = 0,
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources._ntu_names import Selection
    from idol_prep.sources.ntu120 import NTU120Source

    selection = Selection(train=train, test=test, seed=seed)
    prepare_source(NTU120Source.open(raw, select=select, selection=selection), raw, wanted)


def _synthetic(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Dataset folder (default: data/synthetic).")
    ] = None,
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
    report_counts(out, counts, {})
    out.line(f"dataset: {chosen.path}")
    out.result({"dataset": chosen.path, "content_hash": dataset.content_hash, **counts, "rejected": {}})
