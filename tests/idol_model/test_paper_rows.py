"""Rows of the paper's tables at a size for tests: they train, alone and one after another."""

import dataclasses

import pytest
import tiny_recipes
import torch
from safetensors.torch import load_file
from tiny_training import run, tiny

from idol_model.model import IdolModel
from idol_model.pipeline import IdolPipeline
from idol_model.recipe import CodecStage


def short(recipe, steps=2):
    stages = tuple(dataclasses.replace(stage, steps=steps, batch_size=2) for stage in recipe.stages)
    return dataclasses.replace(recipe, stages=stages)


def test_pretraining_on_augmented_pictures_then_fine_tuning_from_it(tmp_path):
    before = short(tiny_recipes.tiny("haop"))
    start = load_file(run(before, tmp_path / "haop") / "unet" / "diffusion_pytorch_model.safetensors")
    torch.manual_seed(before.seed)
    fresh = IdolModel.from_recipe(before).unet.state_dict()
    moved = {name for name, value in start.items() if not torch.equal(value, fresh[name])}
    assert moved
    assert all("transformer_blocks" in name or "conv_background" in name for name in moved)
    after = dataclasses.replace(short(tiny_recipes.tiny("idol")), init_from=str(tmp_path / "haop"))
    model = run(after, tmp_path / "idol")
    assert (model / "model_index.json").is_file()


def test_a_joint_codec_is_fine_tuned_and_its_latents_trained_on(tmp_path):
    recipe = short(tiny_recipes.tiny("ldm3d"))
    stages = tuple(dataclasses.replace(stage, cache_latents=True) for stage in recipe.stages)
    codec = CodecStage(steps=2, batch_size=2, pictures=8)
    model = run(dataclasses.replace(recipe, stages=stages, codec_stage=codec), tmp_path)
    pipe = IdolPipeline.from_pretrained(model)
    assert pipe.codec.vae.config.in_channels == 6


def test_augmented_pictures_are_not_cached(tmp_path):
    recipe = tiny().override(["data.augment=hap"])
    with pytest.raises(ValueError, match=r"cache_latents with data\.augment='hap'"):
        run(recipe, tmp_path)


@pytest.mark.parametrize("name", ["separate", "mm-diffusion", "animatediff", "maps-averaged", "video-only"])
def test_rows_of_the_tables_train(name, tmp_path):
    model = run(short(tiny_recipes.tiny(name), steps=1), tmp_path)
    assert (model / "model_index.json").is_file()
