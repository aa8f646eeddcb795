"""What checkpoints and recipes cost (Tab. 7): parameters, FLOPs of a step, seconds and memory of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli._output import Output
from cli.bench.documents import Block, Document, check_ending
from cli.bench.generation import Generation, still_inputs, time_generation
from idol_eval.complexity import RULE, Complexity, count_flops, count_parameters, measure

if TYPE_CHECKING:
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe

_RUNS = 3
"""Timed runs of a whole checkpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """What is counted; ``timed`` also runs the whole generation."""

    generation: Generation
    timed: bool = False


def costs(out: Output, pipe: "IdolPipeline", made: dict[str, Any], device: str) -> Complexity:
    """Counted on the meta device, timed on one clip of at most 8 frames; ``made`` says how clips were generated."""
    import torch

    frames = min(pipe.plan.frames, 8)
    parts = {name: getattr(pipe, name) for name in ("unet", "pose_control", "foreground", "codec")}
    out.note(f"cost        {_RUNS} runs of {frames} frames")
    call = partial(_generated, pipe, **still_inputs(pipe, frames), guidance_scale=made["guidance"])
    call(num_inference_steps=1)  # the first call of every layer prepares its kernel, which is no part of the cost
    took = measure(partial(call, num_inference_steps=made["steps"]), repeats=_RUNS, device=device)
    return Complexity(
        parameters=count_parameters(parts),
        flops_per_step=step_flops(pipe.recipe, frames, made["guidance"]),
        rule=f"{RULE}, guidance {made['guidance']:g}",
        frames=frames,
        steps=made["steps"],
        seconds=took.seconds,
        spread=took.spread,
        peak_memory_mb=took.peak_memory_mb,
        memory_kind=took.memory_kind,
        device=device,
        threads=torch.get_num_threads(),
    )


def _generated(pipe: "IdolPipeline", **settings: Any) -> int:
    """Generate and keep nothing; how many frames there were."""
    return sum(len(piece.video) for piece in pipe.pieces(**settings))


def table(out: Output, names: Sequence[str], how: How, files: Sequence[Path]) -> None:
    """One line a recipe, ratios to the first, the paper's Table 7 in a table of its own."""
    from idol_eval import results
    from idol_model import recipes

    for file in files:
        check_ending(file)
    chosen = [recipes.get(name) for name in names]
    found: dict[str, Complexity] = {}
    with out.progress(len(chosen), "counting") as bar:
        for recipe in chosen:
            found[recipe.name] = _cost(recipe, how)
            bar.advance(note=recipe.name)
    Document(
        title=f"Cost of {how.generation.frames} frames",
        blocks=[_ours(found, how), _papers()],
        data=results.costs_json(found),
    ).show(out, files)


def _ours(found: dict[str, Complexity], how: How) -> Block:
    first, whole = next(iter(found.values())), how.generation
    seconds = f"seconds for {whole.steps} steps ({whole.device}, {whole.dtype})"
    columns = ("parameters (B)", "FLOPs of a step (T)", seconds, "peak MB")
    heads = ["recipe", *(head for column in columns for head in (column, "ratio"))]
    said = [
        f"{name}: {', '.join(f'{part} {count / 1e6:.2f} M' for part, count in cost.parameters.items())}; {cost.rule}"
        for name, cost in found.items()
    ]
    untimed = "Counted without storage; --time also runs a whole generation of each here with random weights."
    return Block(
        title=f"Cost of {whole.frames} frames, ratios to the first row",
        cells=(heads, [_line(name, cost, first) for name, cost in found.items()]),
        remarks=said if how.timed else [*said, untimed],
    )


def _line(name: str, cost: Complexity, first: Complexity) -> list[str]:
    """Each number as written, and over the first row's; empty where it was not measured."""
    cells = [name]
    for own, other, written in zip(_numbers(cost), _numbers(first), _written(cost), strict=True):
        cells += [written, f"{own / other:.2f}" if own and other else ""]
    return cells


def _numbers(cost: Complexity) -> list[float | None]:
    return [sum(cost.parameters.values()), cost.flops_per_step, cost.seconds, cost.peak_memory_mb]


def _written(cost: Complexity) -> list[str]:
    return [
        f"{sum(cost.parameters.values()) / 1e9:.3f}",
        f"{(cost.flops_per_step or 0) / 1e12:.3f}",
        _spread(cost),
        "" if cost.peak_memory_mb is None else f"{cost.peak_memory_mb:.0f}",
    ]


def _papers() -> Block:
    from idol_eval import paper_values
    from idol_eval import report as writing

    rows = paper_values.as_rows(paper_values.select(7))
    return Block(title="The paper's Table 7: one V100, FLOPs by a rule of its own", cells=writing.cells(rows))


def _spread(cost: Complexity) -> str:
    if cost.seconds is None:
        return ""
    of = "" if cost.timed_steps is None else f" (from {cost.timed_steps} steps)"
    return f"{cost.seconds:.3g} ± {(cost.spread or 0) / 2:.2g}{of}"


def _cost(recipe: "Recipe", how: How) -> Complexity:
    import torch

    whole = how.generation
    guidance = recipe.sampling.guidance if whole.guidance is None else whole.guidance
    took = time_generation(recipe, whole) if how.timed else None
    return Complexity(
        parameters=_parameters(recipe),
        flops_per_step=step_flops(recipe, whole.frames, guidance),
        rule=f"{RULE}, guidance {guidance:g}, one denoising step{_told(how)}",
        frames=whole.frames,
        steps=1 if took is None else whole.steps,
        seconds=None if took is None else took.seconds,
        spread=None if took is None else took.spread,
        peak_memory_mb=None if took is None else took.peak_memory_mb,
        memory_kind="" if took is None else took.memory_kind,
        device=whole.device,
        threads=1 if took is None else torch.get_num_threads(),
        timed_steps=whole.timed_steps if took is not None and whole.extrapolates else None,
    )


def _told(how: How) -> str:
    """What the seconds are of."""
    whole = how.generation
    if not how.timed:
        return ""
    told = f"; seconds of a generation in {whole.steps} steps, {whole.dtype}"
    return told + (f", extrapolated from {whole.timed_steps} steps and one" if whole.extrapolates else "")


def _parameters(recipe: "Recipe") -> dict[str, int]:
    import torch

    from idol_model.model import IdolModel

    with torch.device("meta"):
        model = IdolModel.from_recipe(recipe)
    return count_parameters({name: getattr(model, name) for name in ("unet", "pose_control", "foreground", "codec")})


def step_flops(recipe: "Recipe", frames: int, guidance: float) -> int:
    """FLOPs of one denoising step of ``frames`` frames, all streams; guidance other than 1 doubles them."""
    return count_flops(_step(recipe, frames, guidance, "meta"))


def _step(recipe: "Recipe", frames: int, guidance: float, device: str) -> "partial[Any]":
    """One call of the denoiser with everything it takes, on ``device``."""
    import torch

    from idol_model.model import IdolModel
    from idol_model.sampling import Conditions, Denoiser, Tokens

    with torch.device(device), torch.no_grad():
        model = IdolModel.from_recipe(recipe).eval().requires_grad_(False)
        side, latent = recipe.data.size, recipe.data.size // model.codec.factor
        person = torch.zeros(1, 3, model.foreground.input_size, model.foreground.input_size)
        picture = torch.zeros(1, model.codec.latent_channels, latent, latent)
        conditions = Conditions(
            tokens=Tokens.of(model.foreground, person),
            background_BCHW=picture,
            pose_BLCHW=torch.zeros(1, frames, 3, side, side),
        )
        denoiser: Denoiser = Denoiser(model.unet, model.pose_control, conditions, guidance)
        z_SBLCHW = picture.expand(recipe.unet.streams, 1, frames, *picture.shape[1:])
        return partial(torch.no_grad()(denoiser), z_SBLCHW, torch.zeros((), dtype=torch.int64))
