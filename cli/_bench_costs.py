"""What a checkpoint costs (Tab. 7): parameters, FLOPs of a step, seconds and memory of a run."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cli._output import Output
from idol_eval.complexity import RULE, Complexity, count_flops, count_parameters, measure

if TYPE_CHECKING:
    from idol_model.pipeline import IdolPipeline
    from idol_model.recipe import Recipe


def costs(out: Output, pipe: "IdolPipeline", made: dict[str, Any], device: str) -> Complexity:
    """Counted on the meta device, timed on one clip of at most 8 frames; ``made`` says how clips were generated."""
    import torch

    frames = min(pipe.plan.frames, 8)
    parts = {name: getattr(pipe, name) for name in ("unet", "pose_control", "foreground", "codec")}
    out.note(f"cost        one run of {frames} frames")
    call = partial(pipe, **_still_inputs(pipe, frames), guidance_scale=made["guidance"])
    call(num_inference_steps=1)  # the first call of every layer prepares its kernel, which is no part of the cost
    took = measure(partial(call, num_inference_steps=made["steps"]), device=device)
    return Complexity(
        parameters=count_parameters(parts),
        flops_per_step=step_flops(pipe.recipe, frames, made["guidance"]),
        rule=f"{RULE}, guidance {made['guidance']:g}",
        frames=frames,
        steps=made["steps"],
        seconds=took.seconds,
        peak_memory_mb=took.peak_memory_mb,
        memory_kind=took.memory_kind,
        device=device,
        threads=torch.get_num_threads(),
    )


def step_flops(recipe: "Recipe", frames: int, guidance: float) -> int:
    """FLOPs of one denoising step of ``frames`` frames, all streams; guidance other than 1 doubles them."""
    import torch

    from idol_model.model import IdolModel
    from idol_model.sampling import Conditions, Denoiser, Tokens

    with torch.device("meta"), torch.no_grad():
        model = IdolModel.from_recipe(recipe).eval()
        side, latent = recipe.data.size, recipe.data.size // model.codec.factor
        person = torch.zeros(1, 3, model.foreground.input_size, model.foreground.input_size)
        picture = torch.zeros(1, model.codec.latent_channels, latent, latent)
        conditions = Conditions(
            tokens=Tokens.of(model.foreground, person),
            background_BCHW=picture,
            pose_BLCHW=torch.zeros(1, frames, 3, side, side),
        )
        denoiser = Denoiser(model.unet, model.pose_control, conditions, guidance)
        z_SBLCHW = picture.expand(recipe.unet.streams, 1, frames, *picture.shape[1:])
        return count_flops(denoiser, z_SBLCHW, torch.zeros((), dtype=torch.int64))


def _still_inputs(pipe: "IdolPipeline", frames: int) -> dict[str, Any]:
    """Inputs whose content does not matter: cost depends on shapes alone."""
    side = pipe.size
    person = np.zeros((side, side, 4), np.uint8)
    person[side // 4 : side // 2, side // 4 : side // 2] = 255
    return {
        "foreground": person,
        "background": np.full((side, side, 3), 127, np.uint8),
        "poses": np.zeros((frames, side, side, 3), np.uint8),
    }
