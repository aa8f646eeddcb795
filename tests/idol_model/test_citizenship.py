"""Pipelines behave as diffusers users expect: saving, schedulers, slicing, attention processors, LoRA."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, LCMScheduler, UniPCMultistepScheduler
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from peft import LoraConfig
from tiny_generation import background, drawn_poses, person
from tiny_recipes import SIDE, tiny

from idol_model import IdolModel, IdolPipeline, recipes
from idol_model.pipeline import IdolOutput

WITH_DEPTH = [name for name in recipes.names() if recipes.get(name).makes_depth]


def pipeline(name: str) -> IdolPipeline:
    torch.manual_seed(7)
    recipe = tiny(name)
    pipe = IdolPipeline.from_model(IdolModel.from_recipe(recipe).eval(), recipe)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def made(pipe: IdolPipeline, **settings: object) -> IdolOutput:
    return pipe(
        foreground=person(),
        background=background(),
        poses=drawn_poses(3, SIDE, SIDE),
        num_inference_steps=2,
        **settings,
    )


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_s_pipeline_survives_saving(name: str, tmp_path: Path) -> None:
    pipe = pipeline(name)
    pipe.save_pretrained(tmp_path)
    again = IdolPipeline.from_pretrained(tmp_path)
    assert again.recipe == pipe.recipe
    again.save_pretrained(tmp_path / "again")
    assert not any(str(tmp_path) in file.read_text() for file in (tmp_path / "again").rglob("*.json"))
    for part in ("unet", "pose_control", "codec", "foreground"):
        ours, theirs = getattr(pipe, part).state_dict(), getattr(again, part).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", WITH_DEPTH)
def test_every_recipe_with_depth_generates(name: str) -> None:
    out = made(pipeline(name))
    assert out.video.shape == (3, SIDE, SIDE, 3)
    assert out.depth.shape == (3, SIDE, SIDE)
    assert np.isfinite(out.depth).all()


@pytest.mark.parametrize(
    "kind",
    [DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler, LCMScheduler],
    ids=lambda k: k.__name__,
)
def test_any_scheduler_of_diffusers_takes_the_place_of_ours(kind: type) -> None:
    pipe = pipeline("idol")
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    first, again = made(pipe, seed=3), made(pipe, seed=3)
    assert np.array_equal(first.video, again.video)
    assert first.video.std() > 0


def test_sliced_decoding_gives_the_same_pictures() -> None:
    pipe = pipeline("idol")
    whole = made(pipe)
    pipe.codec.vae.enable_slicing()
    sliced = made(pipe)
    assert np.abs(whole.video.astype(int) - sliced.video).max() <= 1


def test_attention_processors_can_be_swapped() -> None:
    pipe = pipeline("idol")
    fused = made(pipe)
    assert {type(p) for p in pipe.unet.attn_processors.values()} == {AttnProcessor2_0}
    pipe.unet.set_attn_processor(AttnProcessor())
    plain = made(pipe)
    assert np.abs(fused.video.astype(int) - plain.video).max() <= 1


def test_every_denoising_step_is_reported() -> None:
    told = []
    made(pipeline("idol"), on_step=lambda at: told.append((at.window, at.step, at.steps)))
    assert told == [(0, 1, 2), (0, 2, 2)]


def test_lora_adapters_train_save_and_come_off(tmp_path: Path) -> None:
    pipe = pipeline("idol")
    before = made(pipe)
    pipe.unet.requires_grad_(False)
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"], init_lora_weights=False))
    trained = [name for name, p in pipe.unet.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    changed = made(pipe)
    assert not np.array_equal(before.video, changed.video)
    pipe.unet.save_lora_adapter(tmp_path)
    pipe.unet.disable_adapters()
    assert np.array_equal(made(pipe).video, before.video)
    other = pipeline("idol")
    other.unet.load_lora_adapter(str(tmp_path), prefix=None, weight_name="pytorch_lora_weights.safetensors")
    assert np.array_equal(made(other).video, changed.video)
