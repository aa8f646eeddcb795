"""What ``idol bench`` does with a checkpoint: generate the held-out clips, then score them beside trivial answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cli import _checkpoint, _defaults, _place
from cli._output import Output
from cli.bench import baselines, scoring
from cli.bench.annotators import DepthInference, with_inferred_depth, with_poses
from cli.bench.ceiling import CodecCeiling
from cli.bench.sampling import Job, Settings, measured
from idol_eval.baselines import Candidate
from idol_eval.bench import BenchConfig, Row, SampleCandidate
from idol_eval.readers import PreparedSet
from idol_eval.samples import DepthRule
from idol_prep.schema import Dataset, Split

if TYPE_CHECKING:
    from idol_model.device import DeviceName
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which clips, and which rows beside the model's."""

    data: Path | None
    split: str | None
    limit: int | None
    train_data: Path | None
    baselines: bool
    infer_depth: str | None = None
    own_weights: Mapping[str, Path] = field(default_factory=dict)
    """Of the annotator of depth, by name."""
    pose: str | None = None
    repeats: Sequence[int] = ()
    """Further seeds to generate with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Rows, and what the report says of how they came about."""

    rows: list[Row]
    candidates: list[Candidate]
    config: BenchConfig
    reference: PreparedSet
    record: dict[str, Any]
    pipe: "IdolPipeline"


def run(
    out: Output,
    checkpoint: _defaults.Chosen,
    folder: _defaults.Chosen,
    how: tuple[Settings, Choice],
    config: BenchConfig,
    place: scoring.Place = scoring.Place(),  # noqa: B008 - immutable
) -> Result:
    """Generate what is not there yet, and score. Without rows where this was a shard."""
    settings, choice = how
    dataset = _data(out, choice.data)
    where = _place.place(cast("DeviceName", config.device), settings.dtype)
    _defaults.announce(out, checkpoint=checkpoint, data=dataset, output=folder, device=str(where))
    pipe, identity = _checkpoint.load(checkpoint.path, where)
    config = replace(config, protocol=config.protocol.custom(size=_size(pipe.size, config.protocol.size)))
    reference = _reference(out, dataset.path, choice.split, pipe.recipe)
    ids = reference.ids[: choice.limit]
    job = Job(
        pipe=pipe,
        identity=identity,
        reference=reference,
        ids=ids,
        settings=settings,
        background="reference",
        frames=config.protocol.frames,
    )
    seeds = (settings.seed, *choice.repeats)
    infer = None if choice.infer_depth is None else DepthInference(choice.infer_depth, choice.own_weights)
    own = measured(out, job, seeds, folder.path, place.part(ids))
    record = _record(own, job, seeds)
    rows = with_inferred_depth(own, infer, reference.rule, lambda row: pipe.recipe.makes_depth)
    if not pipe.recipe.makes_depth and infer is None:
        out.warn(f"recipe {pipe.recipe.name} makes no depth; --infer-depth ANNOTATOR estimates it from the frames")
    rows += [CodecCeiling(pipe=pipe), *baselines.ceiling(config, choice.baselines)]
    if choice.baselines:
        against = baselines.Against(reference=reference, ids=ids, protocol=config.protocol, checkpoint=checkpoint.path)
        rows += baselines.rows(out, against, choice.train_data)
    rows = with_poses(rows, choice.pose)
    scored = scoring.score(out, scoring.Job(candidates=rows, reference=reference, ids=ids), config, place)
    return Result(rows=scored, candidates=rows, config=config, reference=reference, record=record, pipe=pipe)


def _record(rows: Sequence[SampleCandidate], job: Job, seeds: Sequence[int]) -> dict[str, Any]:
    """Where samples lie and how they were made; ``background`` is mixed where rows differ in it."""
    kinds = dict.fromkeys(row.background for row in rows)
    made = job.record | {"seeds": list(seeds), "background": next(iter(kinds)) if len(kinds) == 1 else "mixed"}
    described = rows[0].samples.describe()
    return {
        "samples": described | {"folders": {row.name: str(row.samples.path) for row in rows}},
        "generation": made,
    }


def _data(out: Output, named: Path | None) -> _defaults.Chosen:
    """The prepared clips: named, found under ./data, or sixteen synthetic dancers made on the spot."""
    if named is not None:
        return _defaults.data(named)
    try:
        return _defaults.data()
    except FileNotFoundError:
        from idol_prep.sources import synthetic

        home = _defaults.OUT / "heldout"
        with out.progress(synthetic.HELD_OUT_CLIPS, "drawing held-out dancers") as bar:
            synthetic.held_out(home, progress=lambda at: bar.update(at.done))
        return _defaults.Chosen(home, "held-out synthetic dancers, as no prepared data is under ./data")


def _size(model: int, asked: int | None) -> int:
    if asked not in (None, model):
        raise ValueError(f"--size {asked}: this checkpoint makes {model} x {model}; leave --size out")
    return model


def _reference(out: Output, path: Path, split: str | None, recipe: "Recipe") -> PreparedSet:
    """The clips of a split: the asked one, else test, val, or all, whichever there is first."""
    rule = DepthRule(person=recipe.data.person_depth, background=recipe.data.background_depth)
    if split is not None:
        return PreparedSet(path, split=None if split == "all" else _as_split(split), rule=rule)
    there = {record.split for record in Dataset.open(path).records()}
    chosen = _as_split("test") if "test" in there else _as_split("val") if "val" in there else None
    found = PreparedSet(path, split=chosen, rule=rule)
    if chosen != "test":
        out.warn(f"{path}: has no test split; scoring {'split val' if chosen else 'all'}, {len(found.ids)} clips")
    return found


def _as_split(name: str) -> Split:
    from idol_prep.schema import SPLITS

    return next(split for split in SPLITS if split == name)
