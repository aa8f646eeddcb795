"""Rows of the paper's tables at a size for tests: they train, alone and one after another."""

import dataclasses
import json
from pathlib import Path

import pytest
import tiny_recipes
import torch
from safetensors.torch import load_file
from tiny_training import run, tiny
from torch.testing import assert_close

from idol_model import recipes, weights
from idol_model.model import IdolModel
from idol_model.pipeline import IdolPipeline
from idol_model.recipe import CodecStage
from idol_model.unet.sharing import shared_name


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


@pytest.mark.parametrize("name", ["separate", "mm-diffusion", "animatediff", "maps-averaged", "midas", "video-only"])
def test_rows_of_the_tables_train(name, tmp_path):
    model = run(short(tiny_recipes.after_its_run(name), steps=1), tmp_path)
    index = json.loads((model / "model_index.json").read_text())
    assert index.get("depth_polarity") == (None if name == "video-only" else "distance"), "the data's, not the colour's"


@pytest.mark.parametrize("name", [name for name in recipes.names() if tiny_recipes.named_run(name)])
def test_every_recipe_starts_from_the_run_it_names(name):
    recipe = tiny_recipes.after_its_run(name)
    weights.check_present(recipe)
    model = IdolModel.from_recipe(recipe)
    weights.start_from(recipe, model)
    stored = load_file(Path(recipe.init_from) / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    own = model.unet.state_dict()
    named = {shared_name(key): value for key, value in own.items()}
    assert stored.keys() <= named.keys()
    assert all(torch.equal(value, stored[shared_name(key)]) for key, value in own.items() if shared_name(key) in stored)


def test_the_parents_row_begins_after_the_parents_pretraining():
    assert tiny_recipes.named_run("video-only") == "hap"


def test_a_joint_codec_begins_as_the_earlier_runs_picture_codec():
    recipe = tiny_recipes.after_its_run("ldm3d")
    joint = IdolModel.from_recipe(recipe)
    weights.start_from(recipe, joint)
    before = IdolPipeline.from_pretrained(Path(recipe.init_from) / "model").codec
    picture = torch.rand(2, 3, 16, 16) * 2 - 1
    depth = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = before.decode(before.encode(picture))
        both = joint.codec.decode(joint.codec.encode(torch.cat([picture, depth], dim=1)))
    assert_close(both, torch.cat([expected, expected], dim=1))
