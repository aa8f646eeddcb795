"""Pre-trained weights find their places, or the run does not start."""

import dataclasses
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from idol_model import initial_weights
from idol_model.codecs import KlCodecConfig
from idol_model.foreground import ClipForegroundConfig
from idol_model.model import IdolModel
from idol_model.pose_control import ControlNetConfig
from idol_model.recipe import Recipe
from idol_model.unet import UNetConfig

SIZES = {"widths": (16, 32), "depth": 1, "attention": (True, False), "tokens": 12, "heads": 2, "groups": 4}
RECIPE = Recipe(
    name="tiny",
    summary="",
    unet=UNetConfig(**SIZES),
    pose_control=ControlNetConfig(**SIZES, hint_widths=(8, 8)),
    foreground=ClipForegroundConfig(tokens=12, hidden=16, layers=2, heads=2, patch=8, size=16),
    codec=KlCodecConfig(widths=(8, 16), depth=1, groups=4),
    weights="sd-image-variations",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of the same kind as the real one, tiny."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights")
    UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
    ).save_pretrained(path / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    ).save_pretrained(path / "vae")
    clip = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        patch_size=8,
        image_size=16,
        projection_dim=12,
    )
    CLIPVisionModelWithProjection(clip).save_pretrained(path / "image_encoder")
    return path


def test_every_weight_finds_its_place(folder: Path) -> None:
    model = IdolModel.from_recipe(RECIPE)
    initial_weights.load_image_variations(model, folder)
    unet = UNet2DConditionModel.from_pretrained(str(folder), subfolder="unet").state_dict()
    ours, pose = model.unet.state_dict(), model.pose_control.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in unet.items())
    shared = [name for name in unet if name in pose]
    assert any(name.startswith("mid_block") for name in shared)
    assert all(torch.equal(pose[name], unet[name]) for name in shared)
    assert torch.equal(ours["conv_background.weight"], ours["conv_in.weight"])
    clip = CLIPVisionModelWithProjection.from_pretrained(str(folder), subfolder="image_encoder")
    assert torch.equal(model.foreground.projection.weight, clip.visual_projection.weight)


def test_weights_of_another_size_are_refused_by_name(folder: Path) -> None:
    wider = dataclasses.replace(RECIPE, unet=dataclasses.replace(RECIPE.unet, widths=(32, 64)))
    with pytest.raises(initial_weights.WeightsError, match=r"unet has another shape for conv_in\.weight"):
        initial_weights.load_image_variations(IdolModel.from_recipe(wider), folder)
    deeper = dataclasses.replace(RECIPE, unet=dataclasses.replace(RECIPE.unet, depth=2))
    with pytest.raises(initial_weights.WeightsError, match="unet gets nothing for"):
        initial_weights.load_image_variations(IdolModel.from_recipe(deeper), folder)


def test_missing_weights_name_the_command_that_brings_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="hf download lambdalabs/sd-image-variations-diffusers"):
        initial_weights.check_present(RECIPE)
    initial_weights.check_present(dataclasses.replace(RECIPE, weights="none"))
