"""Pre-trained weights find their places, or the run does not start."""

import dataclasses
from pathlib import Path
from typing import get_args

import original_names
import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, MotionAdapter, T2IAdapter, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from idol_model import weights
from idol_model.codecs import ConvCodecConfig, JointKlCodecConfig, KlCodecConfig
from idol_model.foreground import ClipForegroundConfig
from idol_model.model import IdolModel
from idol_model.pipeline import IdolPipeline
from idol_model.pose_control import ControlNetConfig, NoPoseConfig, T2IAdapterConfig
from idol_model.recipe import Recipe
from idol_model.unet import UNetConfig
from idol_model.weights import earlier, loaders, sources
from idol_model.weights_names import WeightsName

SIZES = {"widths": (16, 32), "depth": 1, "attention": (True, False), "tokens": 12, "heads": 2, "groups": 4}
RECIPE = Recipe(
    name="tiny",
    summary="",
    unet=UNetConfig(**SIZES),
    pose_control=ControlNetConfig(**SIZES, hint_widths=(8, 8)),
    foreground=ClipForegroundConfig(tokens=12, hidden=16, layers=2, heads=2, patch=8, size=16),
    codec=KlCodecConfig(widths=(8, 16), depth=1, groups=4),
    weights=("sd-image-variations",),
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
    loaders.image_variations(model, folder, "source")
    unet = UNet2DConditionModel.from_pretrained(str(folder), subfolder="unet").state_dict()
    ours, pose = model.unet.state_dict(), model.pose_control.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in unet.items())
    shared = [name for name in unet if name in pose]
    assert any(name.startswith("mid_block") for name in shared)
    assert all(torch.equal(pose[name], unet[name]) for name in shared)
    assert torch.equal(ours["conv_background.weight"], ours["conv_in.weight"])
    clip = CLIPVisionModelWithProjection.from_pretrained(str(folder), subfolder="image_encoder")
    assert torch.equal(model.foreground.projection.weight, clip.visual_projection.weight)


def test_both_networks_of_separate_streams_begin_alike(folder: Path) -> None:
    apart = dataclasses.replace(
        RECIPE,
        unet=dataclasses.replace(RECIPE.unet, sharing="separate"),
        pose_control=dataclasses.replace(RECIPE.pose_control, sharing="separate"),
    )
    model = IdolModel.from_recipe(apart)
    loaders.image_variations(model, folder, "source")
    unet = UNet2DConditionModel.from_pretrained(str(folder), subfolder="unet").state_dict()
    for stream in (0, 1):
        assert torch.equal(model.unet.state_dict()[f"conv_in.streams.{stream}.weight"], unet["conv_in.weight"])
        assert torch.equal(model.unet.state_dict()[f"conv_background.streams.{stream}.weight"], unet["conv_in.weight"])


def test_the_joint_codec_takes_the_image_codec_inflated(folder: Path) -> None:
    codec = JointKlCodecConfig(widths=(8, 16), depth=1, groups=4)
    one_stream = dataclasses.replace(RECIPE.unet, streams=1, coupling="none")
    model = IdolModel.from_recipe(dataclasses.replace(RECIPE, codec=codec, unet=one_stream))
    fits = loaders.image_variations(model, folder, "source")
    assert [fit.part for fit in fits] == ["unet", "pose_control", "codec", "foreground", "foreground.projection"]
    assert not next(fit for fit in fits if fit.part == "codec").fresh


def test_only_the_papers_additions_stay_as_they_were_initialised(folder: Path) -> None:
    fits = loaders.image_variations(IdolModel.from_recipe(RECIPE), folder, "source")
    allowed = (".temporal.", "coupling.", "class_embedding.", "conv_background.", "controlnet_")
    fresh = {fit.part: fit.fresh for fit in fits}
    assert all(any(mark in name for mark in allowed) for names in fresh.values() for name in names)
    assert fresh["unet"]
    assert not fresh["codec"] + fresh["foreground"]


def test_weights_of_another_size_are_refused_by_name_and_nothing_is_loaded(folder: Path) -> None:
    wider = dataclasses.replace(RECIPE, unet=dataclasses.replace(RECIPE.unet, widths=(32, 64)))
    model = IdolModel.from_recipe(wider)
    before = {name: value.clone() for name, value in model.unet.state_dict().items()}
    with pytest.raises(weights.WeightsError, match=r"unet has another shape for conv_in\.weight"):
        loaders.image_variations(model, folder, "source")
    assert all(torch.equal(before[name], value) for name, value in model.unet.state_dict().items())
    deeper = dataclasses.replace(RECIPE, unet=dataclasses.replace(RECIPE.unet, depth=2))
    with pytest.raises(weights.WeightsError, match="unet gets nothing for"):
        loaders.image_variations(IdolModel.from_recipe(deeper), folder, "source")


def test_a_published_controlnet_fills_the_pose_network(tmp_path: Path) -> None:
    reference = ControlNetModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
        conditioning_embedding_out_channels=(8, 8),
    )
    reference.save_pretrained(tmp_path)
    model = IdolModel.from_recipe(RECIPE)
    (fit,) = loaders.controlnet(model, tmp_path, "controlnet-openpose")
    own = model.pose_control.state_dict()
    assert all(torch.equal(own[name], value) for name, value in reference.state_dict().items())
    assert all(".temporal." in name or "class_embedding" in name for name in fit.fresh)


def test_a_published_t2i_adapter_fills_the_pose_adapter(tmp_path: Path) -> None:
    reference = T2IAdapter(3, (16, 32), 1, 8)
    reference.save_pretrained(tmp_path)
    recipe = dataclasses.replace(RECIPE, pose_control=T2IAdapterConfig(widths=(16, 32), depth=1))
    model = IdolModel.from_recipe(recipe)
    (fit,) = loaders.t2i_adapter(model, tmp_path, "t2i-adapter-openpose")
    assert not fit.fresh
    with pytest.raises(weights.WeightsError, match="fills a PoseAdapter, the recipe has a PoseControlNet"):
        loaders.t2i_adapter(IdolModel.from_recipe(RECIPE), tmp_path, "t2i-adapter-openpose")


@pytest.mark.parametrize(("kind", "middle"), [("animatediff", True), ("animatediff_v3", False)])
def test_published_motion_modules_fill_the_temporal_socket(tmp_path: Path, kind: str, middle: bool) -> None:
    MotionAdapter(
        (16, 32),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=4,
        use_motion_mid_block=middle,
    ).save_pretrained(tmp_path)
    model = IdolModel.from_recipe(dataclasses.replace(RECIPE, unet=UNetConfig(**SIZES, temporal=kind)))  # type: ignore[arg-type]
    (fit,) = loaders.motion_adapter(model, tmp_path, "animatediff")
    assert not any("motion_modules" in name for name in fit.fresh)
    assert any(name.startswith("mid_block") for name in fit.filled) is middle
    with pytest.raises(weights.WeightsError, match=r"unet\.temporal=animatediff"):
        loaders.motion_adapter(IdolModel.from_recipe(RECIPE), tmp_path, "animatediff")


def test_an_earlier_run_is_continued_by_a_larger_network(tmp_path: Path) -> None:
    first = dataclasses.replace(
        RECIPE,
        unet=UNetConfig(**SIZES, streams=1, temporal="none", coupling="none"),
        pose_control=NoPoseConfig(),
        weights=(),
    )
    torch.manual_seed(3)
    source = IdolModel.from_recipe(first)
    IdolPipeline.from_model(source, first).save_pretrained(tmp_path / "model")
    after = dataclasses.replace(RECIPE, weights=(), init_from=str(tmp_path))
    weights.check_present(after)
    model = IdolModel.from_recipe(after)
    fits = weights.start_from(after, model)
    assert [fit.part for fit in fits] == ["unet", "foreground", "codec"]
    assert torch.equal(model.unet.conv_out.weight, source.unet.conv_out.weight)
    other = dataclasses.replace(after, codec=ConvCodecConfig())
    with pytest.raises(weights.WeightsError, match="its codec is a KlCodec, the recipe's a ConvCodec"):
        weights.start_from(other, IdolModel.from_recipe(other))
    with pytest.raises(FileNotFoundError, match=r"init_from: nowhere holds no finished model"):
        weights.check_present(dataclasses.replace(after, init_from="nowhere"))


def test_missing_weights_name_the_command_that_brings_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="hf download lambdalabs/sd-image-variations-diffusers"):
        weights.check_present(RECIPE)
    weights.check_present(dataclasses.replace(RECIPE, weights=()))


def test_every_named_source_has_its_facts() -> None:
    assert set(sources.SOURCES) == set(get_args(WeightsName))
    for source in sources.SOURCES.values():
        assert source.licence
        assert source.command.startswith(f"hf download {source.repo} --include ")


@pytest.fixture
def single_file(folder: Path, tmp_path: Path) -> Path:
    unet = UNet2DConditionModel.from_pretrained(str(folder), subfolder="unet").state_dict()
    vae = AutoencoderKL.from_pretrained(str(folder), subfolder="vae").state_dict()
    tensors = original_names.unet(unet, 2, 1, (True, False)) | original_names.vae(vae, 2)
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "sd.safetensors")
    return tmp_path / "sd.safetensors"


def test_a_single_file_with_original_names_is_the_same_as_the_folder(folder: Path, single_file: Path) -> None:
    both = []
    for source in (folder, single_file):
        recipe = dataclasses.replace(RECIPE, weights=(), init_from=str(source))
        weights.check_present(recipe)
        torch.manual_seed(0)
        model = IdolModel.from_recipe(recipe)
        fits = weights.start_from(recipe, model)
        assert [fit.part for fit in fits] == ["unet", "pose_control", "codec"]
        both.append(model.state_dict())
    assert all(torch.equal(both[0][name], value) for name, value in both[1].items())


def test_pickled_damaged_and_foreign_files_are_refused(tmp_path: Path, single_file: Path) -> None:
    model = IdolModel.from_recipe(RECIPE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (tmp_path / "sd.ckpt").write_bytes(b"pickle")
    (tmp_path / "half.safetensors").write_bytes(single_file.read_bytes()[:-100])
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, said in (("sd.ckpt", "can run code"), ("half.safetensors", "damaged"), ("other.safetensors", "holds no")):
        with pytest.raises(weights.WeightsError, match=said):
            earlier.load_from(model, tmp_path / name)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
