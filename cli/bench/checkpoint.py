"""What ``idol bench`` does with a checkpoint: generate the held-out clips, then score them beside trivial answers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from cli import _checkpoint, _defaults, _place
from cli._output import Output
from cli.bench import baselines, scoring
from cli.bench.annotators import Annotated, DepthInference, with_poses
from cli.bench.ceiling import CodecCeiling
from idol_eval.baselines import Candidate
from idol_eval.bench import BenchConfig, Row, SampleCandidate
from idol_eval.readers import PreparedSet, SampleSet
from idol_eval.samples import DepthRule, Pairing
from idol_prep.schema import Dataset, Split

if TYPE_CHECKING:
    from idol_model.device import DeviceName, DtypeName
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How clips are generated; None is the recipe's."""

    seed: int
    steps: int | None
    guidance: float | None
    background: Literal["auto", "reference", "plate"]
    dtype: "DtypeName" = "auto"
    """What the model computes in."""


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
    job = _Job(
        pipe=pipe, identity=identity, reference=reference, ids=ids, settings=settings, frames=config.protocol.frames
    )
    rows = _measured(out, job, (settings.seed, *choice.repeats), folder.path, place.part(ids))
    described = next(one.samples.describe() for one in rows)
    rows = [*rows, *_with_inferred_depth(rows, choice, reference.rule), CodecCeiling(pipe=pipe)]
    rows += baselines.ceiling(config, choice.baselines)
    if choice.baselines:
        against = baselines.Against(reference=reference, ids=ids, protocol=config.protocol, checkpoint=checkpoint.path)
        rows += baselines.rows(out, against, choice.train_data)
    rows = with_poses(rows, choice.pose)
    scored = scoring.score(out, scoring.Job(candidates=rows, reference=reference, ids=ids), config, place)
    record = {"samples": described, "generation": job.record | {"seeds": [settings.seed, *choice.repeats]}}
    return Result(rows=scored, candidates=rows, config=config, reference=reference, record=record, pipe=pipe)


def _measured(
    out: Output, job: "_Job", seeds: Sequence[int], folder: Path, here: Sequence[str]
) -> list[SampleCandidate]:
    """The checkpoint's samples, one row a seed; only those of the clips ``here`` are made."""
    pairing = Pairing(pairs=tuple((id, id) for id in job.ids))
    model = job.pipe.recipe.name + ("" if job.dtype == "float32" else f", {job.dtype}")
    rows = []
    for seed in seeds:
        own = replace(job, settings=replace(job.settings, seed=seed), ids=tuple(here))
        row = SampleCandidate.of(model, own.generate(out, folder), pairing, job.frames)
        rows.append(row if len(seeds) == 1 else replace(row, name=f"{model}, seed {seed}", repeat_of=model))
    return rows


def _with_inferred_depth(rows: Sequence[SampleCandidate], choice: Choice, rule: DepthRule) -> list[Candidate]:
    """The same frames with depth estimated from them (the paper's row for DisCo)."""
    if choice.infer_depth is None:
        return []
    infer = DepthInference(choice.infer_depth, choice.own_weights)
    return [Annotated(inner=row, name=f"{row.name}, depth by {infer.name}", depth=infer, rule=rule) for row in rows]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One checkpoint on one list of clips."""

    pipe: "IdolPipeline"
    identity: dict[str, str]
    reference: PreparedSet
    ids: tuple[str, ...]
    settings: Settings
    frames: int | None

    @property
    def background(self) -> Literal["reference", "plate"]:
        """The clean plate where every clip has one, else the first frame without its person."""
        if self.settings.background != "auto":
            return self.settings.background
        clips = (self.reference.dataset.clip(id) for id in self.ids)
        return "plate" if all(clip.background() is not None for clip in clips) else "reference"

    @property
    def dtype(self) -> str:
        """What the networks compute in, as torch names it."""
        return str(self.pipe.unet.dtype).removeprefix("torch.")

    @property
    def record(self) -> dict[str, Any]:
        """Everything that decides the pixels of the samples."""
        default = self.pipe.recipe.sampling
        own = self.settings
        return {
            "checkpoint": self.identity["sha256"],
            "data": self.reference.dataset.content_hash,
            "seed": own.seed,
            "steps": default.steps if own.steps is None else own.steps,
            "guidance": default.guidance if own.guidance is None else own.guidance,
            "background": self.background,
            "frames": self.frames,
            "dtype": self.dtype,
        }

    def generate(self, out: Output, folder: Path) -> SampleSet:
        """Samples of all clips under ``folder``; what the same settings made before is kept."""
        record = self.record
        key = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:8]
        home = folder / f"samples-{key}"
        missing = [id for id in self.ids if not (home / id / "sample.json").is_file()]
        done = (
            f" ({len(self.ids) - len(missing)} of {len(self.ids)} there already)"
            if len(missing) < len(self.ids)
            else ""
        )
        out.note(f"samples     {home}{done}")
        out.note(
            f"sampling    {record['steps']} steps, guidance {record['guidance']:g}, seed {record['seed']}, "
            f"background: {record['background']}"
        )
        with out.progress(len(missing), "generating") as bar:
            for id in missing:
                self._generate_one(home / id)
                bar.advance(note=id)
        return SampleSet(home, {id: home / id for id in self.ids})

    def _generate_one(self, folder: Path) -> None:
        import time

        from idol_model.data import clip_inputs
        from idol_model.samples import SampleInfo, SampleWriter

        clip = self.reference.dataset.clip(folder.name)
        record, data = self.record, self.pipe.recipe.data
        stop = clip.record.frames if self.frames is None else min(self.frames, clip.record.frames)
        given = clip_inputs(clip, data, stop=stop, background=self.background)
        chosen = {name: record[name] for name in ("seed", "steps", "guidance")}
        info = SampleInfo.of(self.pipe, self.identity, id=folder.name, fps=clip.record.fps, **chosen)
        began = time.perf_counter()
        with SampleWriter(folder, info) as writer:
            pieces = self.pipe.stream(
                given.foreground,
                given.background,
                given.poses,
                seed=info.seed,
                num_inference_steps=info.steps,
                guidance_scale=info.guidance,
            )
            for piece in pieces:
                writer.append(piece)
            writer.finish({"seconds": round(time.perf_counter() - began, 3)})


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
