"""The paper's main recipe and what comes before it (App. B), and both on one small GPU."""

from dataclasses import replace

from idol_model.objective import ObjectiveConfig
from idol_model.pose_control import NoPoseConfig
from idol_model.recipe import DataConfig, MemoryConfig, Recipe, Stage
from idol_model.unet import UNetConfig

PRETRAINED = "runs/haop"
"""Where ``idol train haop`` leaves the model that the others begin from."""

TERMS = ObjectiveConfig(motion_feature="self_attention_input", motion_norm="row", xattn_norm="row")
"""L_mo and L_xattn in the reading in which they act: what was measured of it is in ``docs/deviations.md``."""


def idol() -> Recipe:
    """Tab. 1: TikTok, HDNet depth in hot colours, OpenPose, ControlNet, all consistency terms (App. B)."""
    return Recipe(
        name="idol",
        summary="the paper's main model at full size (Tab. 1), 256 x 256, 8 frames",
        objective=TERMS,
        weights=("sd-image-variations",),
        init_from=PRETRAINED,
        stages=(
            Stage(name="image", steps=15_000, frames=1, batch_size=256, lr=1e-4),
            Stage(name="video", steps=15_000, frames=8, batch_size=32, lr=1e-4),
        ),
    )


def idol_literal() -> Recipe:
    """`idol` with the terms to the letter of Eq. 5 and 6: means over everything, F the self-attention's output."""
    return replace(
        idol(),
        name="idol-literal",
        summary="idol with L_mo and L_xattn to the letter, in which they hardly act",
        objective=ObjectiveConfig(),
    )


def haop() -> Recipe:
    """Sec. 3.3, Eq. 8: pictures alone, no depth, no pose; ResBlocks frozen, rate 1e-3, 25k steps (App. B)."""
    return Recipe(
        name="haop",
        summary="pre-training on single pictures (Sec. 3.3): outpainting of human attributes",
        unet=UNetConfig(streams=1, temporal="none", coupling="none"),
        pose_control=NoPoseConfig(),
        objective=ObjectiveConfig(w_mo=0.0, w_xattn=0.0),
        data=DataConfig(augment="haop"),
        weights=("sd-image-variations",),
        stages=(Stage(name="attributes", steps=25_000, frames=1, batch_size=2048, lr=1e-3, trains="transformers"),),
    )


def idol_24gb() -> Recipe:
    """`idol` in 24 GB: the same steps, weights and losses, in pieces that fit (``docs/scaling.md``)."""
    recipe = _in_little_memory(idol(), {"image": 8, "video": 1})
    return replace(
        recipe,
        init_from=f"{PRETRAINED}-24gb",
        stages=tuple(replace(stage, cache_latents=True) for stage in recipe.stages),
    )


def haop_24gb() -> Recipe:
    """`haop` in 24 GB."""
    return _in_little_memory(haop(), {"attributes": 64})


def _in_little_memory(recipe: Recipe, micro_batch: dict[str, int]) -> Recipe:
    return replace(
        recipe,
        name=f"{recipe.name}-24gb",
        summary=f"{recipe.name} on one GPU of 24 GB: bf16, 8-bit optimiser, blocks computed again, small pieces",
        precision="bf16",
        optimizer="adamw_8bit",
        memory=MemoryConfig(micro_batch=micro_batch, recompute=True),
    )
