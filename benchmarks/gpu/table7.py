"""Part *table7*: what 8 RGB-D frames in 50 steps cost at full size with random weights, row by row (Tab. 7)."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from benchmarks import tiny_recipes
from benchmarks.gpu import generating, models, profiling, regional
from benchmarks.gpu.figures import Figure
from benchmarks.gpu.figures import free as figures_free
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.timing import matmul_rate, timed
from idol_eval.complexity import RULE, count_flops, count_parameters
from idol_model import recipes
from idol_model.recipe import Recipe

ROWS = ("idol", "separate", "ldm3d", "mm-diffusion", "video-only")
STEPS, FRAMES, GUIDANCE = 50, 8, 7.5
_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a row is run: its precision, its memory format, whether its blocks are compiled."""

    precision: str = "bf16"
    channels_last: bool = False
    compiled: bool = False
    guided: bool = True
    """Whether it is timed with guidance too."""

    def __str__(self) -> str:
        marks = [self.precision, *(["channels last"] if self.channels_last else [])]
        return ", ".join([*marks, *(["blocks compiled"] if self.compiled else [])])


PLAIN = Way()


def figures(setting: Setting) -> Iterator[Figure]:
    """By worth: the paper's model in bf16 and what it is measured against, then other ways and other rows."""
    yield Figure("matrix products", partial(_products, setting), 2)
    yield _row(setting, "idol", PLAIN, 20)
    yield Figure("profile of a step: idol, bf16", partial(_profile, setting), 5)
    yield _row(setting, "idol", Way(channels_last=True, guided=False), 5)
    for name in ("video-only", "separate"):
        yield _row(setting, name, PLAIN, 12)
    yield _row(setting, "idol", Way(compiled=True, guided=False), 30)
    for name in ("ldm3d", "mm-diffusion"):
        yield _row(setting, name, PLAIN, 12)
    for precision in ("fp32", "tf32"):
        yield _row(setting, "idol", Way(precision=precision, guided=False), 15)
    yield _row(setting, "idol", Way(compiled=True, channels_last=True, guided=False), 30)
    for name in ROWS[1:]:
        yield _row(setting, name, Way(precision="fp32", guided=False), 15)


def _row(setting: Setting, name: str, way: Way, needs: float) -> Figure:
    return Figure(f"{name}: {way}", partial(cost, setting, name, way), needs)


def sized(setting: Setting, name: str) -> Recipe:
    """The recipe at full size, without weights to load; narrow in a rehearsal."""
    if setting.rehearse:
        return tiny_recipes.tiny(name)
    return dataclasses.replace(recipes.get(name), weights=(), init_from=None)


def cost(setting: Setting, name: str, way: Way) -> dict[str, Any]:
    """Parameters, FLOPs, seconds and memory of one row run one way."""
    recipe = sized(setting, name)
    model, found = _made(recipe, way, setting)
    steps, frames = (2, 2) if setting.rehearse else (STEPS, FRAMES)
    found |= {"steps": steps, "frames": frames, "size": recipe.data.size, "streams": recipe.unet.streams}
    for label, guidance in {"without guidance": 1.0, "with guidance": GUIDANCE}.items():
        if guidance == 1.0 or way.guided:
            found[label] = _generation(model, recipe, (steps, frames, guidance), (way, setting))
    return found


_held: dict[str, Any] = {}
"""The model made last, under its recipe's name: several ways of one row need it, and making it takes seconds."""


def _model(recipe: Recipe, way: Way, setting: Setting) -> Any:
    if recipe.name not in _held or way.compiled:
        _held.clear()
        figures_free(setting)
        _held[recipe.name] = models.random_model(recipe, setting.device).eval().requires_grad_(False)
    return _held.pop(recipe.name) if way.compiled else _held[recipe.name]


def _made(recipe: Recipe, way: Way, setting: Setting) -> tuple[Any, dict[str, Any]]:
    """The model as it will run, and what is known of it before it does."""
    exactly = way.precision != "tf32"
    torch.set_float32_matmul_precision("highest" if exactly else "high")
    torch.backends.cudnn.allow_tf32 = not exactly
    model = _model(recipe, way, setting).to(_DTYPES[way.precision])
    form = torch.channels_last if way.channels_last else torch.contiguous_format
    for network in (model.unet, model.pose_control):
        network.to(memory_format=form)
    return model, {"way": str(way), "parameters": count_parameters(models.parts(model)), "weights": "random"}


def _generation(model: Any, recipe: Recipe, length: tuple[int, int, float], how: tuple[Way, Setting]) -> dict[str, Any]:
    (steps, frames, guidance), (way, setting) = length, how
    call = generating.ready(model, recipe, frames, guidance)
    found: dict[str, Any] = {"guidance": guidance}
    if way.compiled:
        networks = (model.unet.mid_block,) if setting.rehearse else (model.unet, model.pose_control)
        found |= regional.compile_blocks(networks, lambda: call(1), setting)
    elif guidance == 1.0:
        flops = {count: count_flops(call, count) for count in (1, 2)}
        step = flops[2] - flops[1]
        found |= {"flops_of_a_step": step, "flops": flops[1] + (steps - 1) * step, "rule": RULE}
    call(2)
    took = timed(lambda: call(steps), setting.device, runs=1 if setting.rehearse else 3, warmup=0, most=5)
    if "flops" in found:
        found["flop_rate"] = found["flops"] / took.seconds
    return found | took.to_dict()


def _products(setting: Setting) -> dict[str, Any]:
    """The machine's own rate at products of square matrices: the ceiling that shares are of."""
    side = 256 if setting.rehearse else 8192
    found = {}
    for name, dtype in _DTYPES.items():
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        found[name] = matmul_rate(setting.device, dtype, side)
    return {"side": side, "flop_per_second": found}


def _profile(setting: Setting) -> dict[str, Any]:
    """Where one denoising step of the paper's model goes: both streams, without guidance."""
    recipe = sized(setting, "idol")
    model, _ = _made(recipe, PLAIN, setting)
    step = generating.one_step(model, recipe, 2 if setting.rehearse else FRAMES)
    for _ in range(3):
        step()
    return profiling.profile(step, setting.device)
