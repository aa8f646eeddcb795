"""What a whole generation costs (Tab. 7): from pictures and poses to frames, with random weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idol_eval.complexity import Measured
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What is timed: ``frames`` in ``steps`` DDIM steps, as in the paper; ``guidance`` None is the recipe's own.

    ``timed_steps`` fewer than ``steps`` are really run, beside a run of one step, and the rest is extrapolated: every
    step costs the same.

    Raises:
        ValueError: steps to time that are not between 2 and all of them.
    """

    frames: int = 8
    steps: int = 50
    timed_steps: int | None = None
    guidance: float | None = None
    repeats: int = 3
    device: str = "cpu"
    dtype: str = "float32"
    """As torch calls it: ``float32``, ``bfloat16``, ``float16``."""

    def __post_init__(self) -> None:
        if self.timed_steps is not None and not 2 <= self.timed_steps <= self.steps:
            raise ValueError(f"--timed-steps {self.timed_steps}: time between 2 and {self.steps} steps (--steps)")

    @property
    def extrapolates(self) -> bool:
        """Whether some of the steps are not run."""
        return self.timed_steps is not None and self.timed_steps < self.steps


def time_generation(recipe: "Recipe", how: Generation) -> "Measured":
    """Median seconds and peak memory of a whole generation: encoders, every step, decoder.

    Weights are random and pictures empty: cost depends on shapes alone. One run warms up. On CUDA the device's own
    events are read.
    """
    pipe = random_pipeline(recipe, how.device, how.dtype)
    inputs = still_inputs(pipe, how.frames)
    guidance = recipe.sampling.guidance if how.guidance is None else how.guidance
    return extrapolated(lambda steps: _whole(pipe, inputs, guidance, steps), how)


def extrapolated(run: Callable[[int], Any], how: Generation) -> "Measured":
    """`idol_eval.complexity.measure` of ``run(how.steps)``, or of fewer steps with the rest laid on a line."""
    from dataclasses import replace

    from idol_eval.complexity import measure

    run(1)  # the first call of every layer prepares its kernel, which is no part of the cost
    ran = how.timed_steps if how.timed_steps is not None else how.steps
    took = measure(partial(run, ran), repeats=how.repeats, device=how.device)
    if not how.extrapolates:
        return took
    one = measure(partial(run, 1), repeats=how.repeats, device=how.device)
    share = (how.steps - 1) / (ran - 1)
    return replace(took, seconds=one.seconds + share * (took.seconds - one.seconds), spread=share * took.spread)


def random_pipeline(recipe: "Recipe", device: str, dtype: str) -> "IdolPipeline":
    """The recipe's networks with random weights, made on ``device``."""
    import torch

    from idol_model.model import IdolModel
    from idol_model.pipeline import IdolPipeline

    with torch.device(device):
        model = IdolModel.from_recipe(recipe).eval().requires_grad_(False)
    return IdolPipeline.from_model(model, recipe).to(device, getattr(torch, dtype))


def still_inputs(pipe: "IdolPipeline", frames: int) -> dict[str, Any]:
    """Inputs whose content does not matter: cost depends on shapes alone."""
    import numpy as np

    side = pipe.size
    person = np.zeros((side, side, 4), np.uint8)
    person[side // 4 : side // 2, side // 4 : side // 2] = 255
    return {
        "foreground": person,
        "background": np.full((side, side, 3), 127, np.uint8),
        "poses": np.zeros((frames, side, side, 3), np.uint8),
    }


def _whole(pipe: "IdolPipeline", inputs: dict[str, Any], guidance: float, steps: int) -> None:
    for _ in pipe.pieces(**inputs, num_inference_steps=steps, guidance_scale=guidance):
        pass
