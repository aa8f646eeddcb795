"""The published configurations at full size, on the meta device: every key and shape finds its place in our recipes."""

from collections.abc import Mapping

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, MotionAdapter, T2IAdapter, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from idol_model import recipes, selection
from idol_model.codecs.kl import inflated
from idol_model.weights.fit import Fit, Part, load
from idol_model.weights.loaders import ADDED, encoder_of

SD = {"cross_attention_dim": 768, "attention_head_dim": 8}


def fill(module: nn.Module, weights: Mapping[str, torch.Tensor], may_stay: tuple[str, ...] = ()) -> Fit:
    (fit,) = load("published", Part(name="part", module=module, weights=weights, may_stay=may_stay))
    return fit


def unet() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return UNet2DConditionModel(**SD).state_dict()


@pytest.mark.parametrize("name", ["idol", "separate", "haop", "animatediff"])
def test_stable_diffusion_s_unet(name: str) -> None:
    model = selection.meta_model(recipes.get(name))
    fit = fill(model.unet, unet(), ADDED)
    assert len(fit.filled) == 686 * (2 if name == "separate" else 1)


def test_its_encoder_begins_the_pose_network() -> None:
    model = selection.meta_model(recipes.get("idol"))
    fit = fill(model.pose_control, encoder_of(unet()), (*ADDED, "controlnet_"))
    assert not any("resnets.0.conv1" in name for name in fit.fresh)


def test_its_autoencoder_and_the_joint_one() -> None:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    with torch.device("meta"):
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, **blocks).state_dict()
        assert not fill(selection.meta_model(recipes.get("idol")).codec.vae, vae).fresh
        joint = selection.meta_model(recipes.get("ldm3d")).codec
        assert not fill(joint.vae, inflated(vae)).fresh


def test_clip_vit_l14() -> None:
    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        patch_size=14,
        projection_dim=768,
    )
    with torch.device("meta"):
        clip = CLIPVisionModelWithProjection(config)
    ours = selection.meta_model(recipes.get("idol")).foreground
    assert not fill(ours.projection, clip.visual_projection.state_dict()).fresh
    tower = getattr(ours.clip, "vision_model", ours.clip)
    assert not fill(tower, getattr(clip, "vision_model", clip).state_dict()).fresh


def test_the_openpose_controlnet() -> None:
    with torch.device("meta"):
        theirs = ControlNetModel(**SD, conditioning_embedding_out_channels=(16, 32, 96, 256)).state_dict()
    fit = fill(selection.meta_model(recipes.get("idol")).pose_control, theirs, ADDED)
    assert len(fit.filled) == len(theirs)


def test_the_openpose_t2i_adapter() -> None:
    with torch.device("meta"):
        theirs = T2IAdapter(3, (320, 640, 1280, 1280), 2, 8).state_dict()
    assert not fill(selection.meta_model(recipes.get("t2i-adapter")).pose_control, theirs).fresh


def test_animatediff_s_motion_adapter() -> None:
    with torch.device("meta"):
        theirs = MotionAdapter(use_motion_mid_block=True).state_dict()
    model = selection.meta_model(recipes.get("animatediff"))
    others = tuple(name for name in model.unet.state_dict() if selection.MOTION not in name)
    fit = fill(model.unet, theirs, others)
    assert len(fit.filled) == len(theirs)
