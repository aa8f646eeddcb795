"""``idol prep coco`` and its siblings: still pictures of people for pre-training, in shards."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import _defaults
from cli._output import Output
from cli._prep_options import AUTO, GOOD, WHO, Common, limits_of, part_of, shared_options
from cli._prep_run import megabytes, warn_of_room

if TYPE_CHECKING:
    from idol_prep.prep_options import Progress, Summary
    from idol_prep.sources.pictures import PictureSource
    from idol_prep.still_options import StillOptions

PerShard = Annotated[int, typer.Option(min=1, help="Candidates of one shard.", rich_help_panel=GOOD)]


def register(prep: typer.Typer) -> None:
    """Add all of them to ``idol prep``."""
    prep.command("coco", help="Pictures: COCO's people, with its own masks, into shards.")(_coco)
    prep.command("shhq", help="Pictures: SHHQ, with its own masks, into shards.")(_shhq)
    prep.command("deepfashion2", help="Pictures: DeepFashion2, what is worn, into shards.")(_deepfashion2)
    prep.command("laion", help="Pictures: a download by img2dataset, into shards.")(_laion)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted(Common):
    """What the user said of pictures."""

    mask: Annotated[
        str, typer.Option(help="Mask annotator; auto: the dataset's own, else mediapipe.", rich_help_panel=WHO)
    ] = AUTO
    pose: Annotated[
        str,
        typer.Option(help="Pose annotator that counts people where the dataset does not; none.", rich_help_panel=WHO),
    ] = "none"

    def options(self, source: "PictureSource") -> "StillOptions":
        """As the pipeline wants it, ``auto`` settled by what the source ships."""
        from idol_prep.still_options import StillLimits, StillOptions

        auto = "dataset" if source.ships("mask") else "mediapipe"
        return StillOptions(
            mask=auto if self.mask == AUTO else self.mask,
            pose=self.pose,
            device=self.device,
            weights=self.own_weights(),
            licences=self.license_policy,  # type: ignore[arg-type]
            limits=limits_of(StillLimits(), self.limit),
            shard=part_of(self.shard),
            retry=self.retry(),  # type: ignore[arg-type]
        )


@shared_options
def _coco(
    raw: Annotated[Path, typer.Argument(help="COCO: train2017/ and annotations/ in it.")],
    part: Annotated[str, typer.Option(help="Folder of pictures and end of the annotations' names.")] = "train2017",
    per_shard: PerShard = 1000,
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.coco import CocoSource

    _prepare(CocoSource.open(raw, part=part, per_shard=per_shard), raw, wanted)


@shared_options
def _shhq(
    raw: Annotated[Path, typer.Argument(help="SHHQ unpacked: no_segment/ and segments/ in it.")],
    per_shard: PerShard = 1000,
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.shhq import SHHQSource

    _prepare(SHHQSource.open(raw, per_shard=per_shard), raw, wanted)


@shared_options
def _deepfashion2(
    raw: Annotated[Path, typer.Argument(help="DeepFashion2 unpacked: train/image/ and train/annos/ in it.")],
    part: Annotated[str, typer.Option(help="train or validation.")] = "train",
    per_shard: PerShard = 1000,
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.deepfashion2 import DeepFashion2Source

    _prepare(DeepFashion2Source.open(raw, part=part, per_shard=per_shard), raw, wanted)


@shared_options
def _laion(
    raw: Annotated[Path, typer.Argument(help="The --output_folder of img2dataset: 00000.tar and so on.")],
    *,
    wanted: Wanted,
) -> None:
    from idol_prep.sources.laion import LaionSource

    _prepare(LaionSource.open(raw), raw, wanted)


def _prepare(source: "PictureSource", raw: Path, wanted: Wanted) -> None:
    """Announce, plan or prepare, and tell what came of it."""
    out = Output.of(json=wanted.as_json)
    options, engine = wanted.options(source), wanted.made_engine()
    chosen = _defaults.prepared(source.name, wanted.output)
    groups = f"{len(source.groups())} groups of pictures"
    people = options.pose if options.pose != "none" else "as the dataset or the masks tell"
    _defaults.announce(out, input=f"{raw} ({groups})", output=chosen, mask=options.mask, people=people)
    if wanted.dry_run:
        _plan(out, source, chosen.path, options)
        return
    from idol_prep.still_pipeline import groups_of, prepare_stills

    with out.progress(len(groups_of(source, options)), "prepare") as bar:

        def told(progress: "Progress") -> None:
            note = f"shard {progress.clip}, {progress.frames_done} pictures, {progress.rejected} rejected"
            bar.update(progress.clips_done, note=note)

        summary = prepare_stills(source, chosen.path, options, told, engine)
    _summarise(out, summary)


def _plan(out: Output, source: "PictureSource", path: Path, options: "StillOptions") -> None:
    from idol_prep.still_planning import make_still_plan

    plan = make_still_plan(source, path, options)
    names = ["shards", "settled", "pictures", "tried", "good", "megabytes", "seconds"]
    seconds = None if plan.seconds is None else round(plan.seconds, 1)
    row = [plan.groups, plan.settled, plan.pictures, plan.tried, plan.good, megabytes(plan.bytes), seconds]
    out.table("Nothing was written; this would be done", names, [row])
    warn_of_room(out, path, plan.bytes)
    out.result({"dry_run": True, "stills": path, **asdict(plan)})


def _summarise(out: Output, summary: "Summary") -> None:
    from idol_prep.schema import StillSet
    from idol_prep.stills import is_finished

    counts = {
        "pictures": summary.frames,
        "kept": summary.clips,
        "kept_before": summary.kept_before,
        "rejected_before": summary.rejected_before,
        "seconds": round(summary.seconds, 2),
    }
    reasons = summary.reasons()
    columns = [*(name.replace("_", " ") for name in counts), *(f"rejected: {kind}" for kind in reasons)]
    out.table("Prepared", columns, [[*counts.values(), *reasons.values()]])
    digest = StillSet.open(summary.out).content_hash if is_finished(summary.out) else None
    out.line(f"stills: {summary.out}" + ("" if digest else " (not finished: other shards are still to be done)"))
    out.result({"stills": summary.out, "content_hash": digest, **counts, "rejected": reasons})
