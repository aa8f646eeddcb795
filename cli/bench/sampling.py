"""The samples of a checkpoint: which backgrounds it is given, and one set of samples for each background and seed."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cli._output import Output
from idol_eval.bench import SampleCandidate
from idol_eval.readers import PreparedSet, SampleSet
from idol_eval.samples import Pairing, SampleError

if TYPE_CHECKING:
    from idol_model.data import BackgroundKind
    from idol_model.device import DtypeName
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe

BACKGROUNDS: "dict[BackgroundKind, str]" = {"reference": "reference background", "plate": "clean plate"}
"""What rows call the first frame without its person, and the picture of the empty scene."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How clips are generated; None is the recipe's. ``background`` auto is what the recipe was trained on."""

    seed: int
    steps: int | None
    guidance: float | None
    background: Literal["auto", "reference", "plate"]
    dtype: "DtypeName" = "auto"
    """What the model computes in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One checkpoint on one list of clips, with backgrounds of one kind."""

    pipe: "IdolPipeline"
    identity: dict[str, str]
    reference: PreparedSet
    ids: tuple[str, ...]
    settings: Settings
    background: "BackgroundKind"
    frames: int | None

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

    @property
    def dtype(self) -> str:
        """What the networks compute in, as torch names it."""
        return str(self.pipe.unet.dtype).removeprefix("torch.")

    @property
    def name(self) -> str:
        """What its row is called."""
        dtype = "" if self.dtype == "float32" else f", {self.dtype}"
        return f"{self.pipe.recipe.name}, {BACKGROUNDS[self.background]}{dtype}"

    def generate(self, out: Output, folder: Path, here: Sequence[str]) -> SampleSet:
        """Samples of the clips ``here`` under ``folder``; what the same settings made before is kept."""
        record = self.record
        key = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:8]
        home = folder / f"samples-{key}"
        missing = [id for id in here if not (home / id / "sample.json").is_file()]
        done = f" ({len(here) - len(missing)} of {len(here)} there already)" if len(missing) < len(here) else ""
        out.note(f"samples     {home}{done}")
        out.note(
            f"sampling    {record['steps']} steps, guidance {record['guidance']:g}, seed {record['seed']}, "
            f"background: {BACKGROUNDS[self.background]}"
        )
        with out.progress(len(missing), "generating") as bar:
            for id in missing:
                self._generate_one(home / id)
                bar.advance(note=id)
        return SampleSet(home, {id: home / id for id in here})

    def _generate_one(self, folder: Path) -> None:
        import time

        from idol_model.data import clip_inputs
        from idol_model.feed.sources import Reading
        from idol_model.samples import SampleInfo, SampleWriter

        clip, reading = self.reference.dataset.clip(folder.name), Reading.of(self.pipe.recipe)
        record = self.record
        stop = clip.record.frames if self.frames is None else min(self.frames, clip.record.frames)
        given = clip_inputs(clip, reading.data, stop=stop, background=self.background, tracks=reading.tracks)
        chosen = {name: record[name] for name in ("seed", "steps", "guidance")}
        info = SampleInfo.of(self.pipe, self.identity, id=folder.name, fps=clip.record.fps, **chosen)
        began = time.perf_counter()
        with SampleWriter(folder, info) as writer:
            pieces = self.pipe.pieces(
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


def jobs(out: Output, job: Job) -> list[Job]:
    """One for each kind of background that is asked for, or that the recipe was trained on.

    Raises:
        SampleError: the recipe knows clean plates alone, and a clip has none.
    """
    asked = job.settings.background
    kinds = _trained_on(out, job) if asked == "auto" else (asked,)
    return [replace(job, background=kind) for kind in kinds]


def _trained_on(out: Output, job: Job) -> "tuple[BackgroundKind, ...]":
    from idol_model.latents.key import background_kinds

    recipe = job.pipe.recipe
    kinds = background_kinds(recipe.data)
    lacking = _without_plate(job) if "plate" in kinds else None
    if lacking is None:
        return kinds
    if kinds == ("plate",):
        raise SampleError(
            f"{job.reference.path}: clip {lacking} has no clean plate (background.png), and recipe {recipe.name} was "
            "trained on clean plates (data.background=plate); prepare them, or choose --background reference"
        )
    out.warn(
        f"no row '{recipe.name}, {BACKGROUNDS['plate']}': clip {lacking} of {job.reference.path} has no clean plate "
        "(background.png)"
    )
    return ("reference",)


def _without_plate(job: Job) -> str | None:
    return next((id for id in job.ids if job.reference.dataset.clip(id).background() is None), None)


def measured(out: Output, job: Job, seeds: Sequence[int], folder: Path, here: Sequence[str]) -> list[SampleCandidate]:
    """The checkpoint's samples, one row a background and seed; only those of the clips ``here`` are made."""
    return [row for one in jobs(out, job) for row in _seeded(out, one, seeds, (folder, here))]


def _seeded(
    out: Output, job: Job, seeds: Sequence[int], where: tuple[Path, Sequence[str]]
) -> Iterator[SampleCandidate]:
    pairing = Pairing(pairs=tuple((id, id) for id in job.ids))
    for seed in seeds:
        own = replace(job, settings=replace(job.settings, seed=seed))
        row = SampleCandidate.of(job.name, own.generate(out, *where), pairing, job.frames)
        row = replace(row, background=job.background, recipe=_place(job.pipe.recipe, job.background))
        yield row if len(seeds) == 1 else replace(row, name=f"{job.name}, seed {seed}", repeat_of=job.name)


def _place(recipe: "Recipe", background: "BackgroundKind") -> str:
    """The recipe as whose row of the paper's tables this one counts: given the background that it is trained on first.

    The paper gives the first frame without its person, as DisCo does.
    """
    from idol_model.latents.key import background_kinds

    return recipe.name if background == background_kinds(recipe.data)[0] else ""
