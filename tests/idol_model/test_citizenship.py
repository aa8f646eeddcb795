"""Pipelines behave as diffusers users expect: saving, schedulers, slicing, attention processors, LoRA."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, LCMScheduler, UniPCMultistepScheduler
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from peft import LoraConfig
from tiny_generation import background, drawn_poses, person
from tiny_recipes import SIDE, tiny
from torch import nn

from idol_model import IdolModel, IdolPipeline, recipes
from idol_model.outputs import IdolOutput, VideoOutput
from idol_model.samples import SampleInfo, SampleWriter
from idol_prep.video import read_ffv1

WITH_DEPTH = [name for name in recipes.names() if recipes.get(name).makes_depth]


def pipeline(name: str) -> IdolPipeline:
    torch.manual_seed(7)
    recipe = tiny(name)
    pipe = IdolPipeline.from_model(IdolModel.from_recipe(recipe).eval(), recipe)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def made(pipe: IdolPipeline, **settings: object) -> IdolOutput:
    given = {"foreground": person(), "background": background(), "poses": drawn_poses(3, SIDE, SIDE)}
    return pipe(**{**given, "num_inference_steps": 2, **settings})


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


def test_a_recipe_without_depth_gives_its_video_alone(tmp_path: Path) -> None:
    pipe = pipeline("video-only")
    given = {"foreground": person(), "background": background(), "poses": drawn_poses(3, SIDE, SIDE)}
    with pytest.raises(ValueError, match=r"recipe video-only: makes no depth.*pieces"):
        pipe(**given, num_inference_steps=2)
    (piece,) = pipe.pieces(**given, num_inference_steps=2)
    assert type(piece) is VideoOutput
    assert piece.video.shape == (3, SIDE, SIDE, 3)
    info = SampleInfo.of(pipe, {"path": "p", "sha256": "0"}, id="dance", fps=24.0)
    with SampleWriter(tmp_path / "dance", info) as writer:
        writer.append(piece)
        record = writer.finish({"seconds": 1.0})
    assert record["depth"] is None
    assert {file.name for file in (tmp_path / "dance").iterdir()} == {"frames.mkv", "video.mp4", "sample.json"}
    assert np.array_equal(read_ffv1(tmp_path / "dance" / "frames.mkv"), piece.video)


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


class Turn(ModelHook):
    """What model offload hooks into: a part works only while it is its turn, as if its weights lay elsewhere."""

    def __init__(self, name: str, turns: list[str]) -> None:
        self.name, self.turns = name, turns

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple, dict]:
        self.turns.append(self.name)
        return args, kwargs


@pytest.mark.parametrize("name", ["debug", "idol", "ldm3d", "t2i-adapter"])
def test_no_part_works_before_offloading_has_brought_it(name: str) -> None:
    pipe, turns = pipeline(name), []
    for part in ("unet", "pose_control", "codec", "foreground"):
        whole = getattr(pipe, part)
        add_hook_to_module(whole, Turn(part, turns))
        for leaf in whole.modules():
            if not list(leaf.children()):
                leaf.register_forward_pre_hook(partial(_its_turn, part, turns))
    made(pipe)
    assert turns[0] == "foreground"
    assert turns[-1] == "codec"


def _its_turn(part: str, turns: list[str], leaf: nn.Module, args: object) -> None:
    # The pose network is outside the sequence: once brought, it stays.
    assert turns[-1] == part or (part == "pose_control" and part in turns), f"{part} works in {turns[-1]}'s turn"


@pytest.mark.parametrize("sharing", ["shared", "separate"])
def test_the_pose_can_go_through_the_codec(sharing: str, tmp_path: Path) -> None:
    recipe = tiny("idol").override(
        ["pose_control.hint=latent", f"pose_control.sharing={sharing}", f"unet.sharing={sharing}"]
    )
    torch.manual_seed(8)
    pipe = IdolPipeline.from_model(IdolModel.from_recipe(recipe).eval(), recipe)
    pipe.set_progress_bar_config(disable=True)
    blind = made(pipe)
    with torch.no_grad():
        for parameter in (*pipe.pose_control.parameters(), *pipe.unet.parameters()):
            parameter.add_(0.05 * torch.randn_like(parameter))
    seen, other = made(pipe), made(pipe, poses=drawn_poses(6, SIDE, SIDE)[3:])
    assert blind.video.shape == seen.video.shape
    assert not np.array_equal(seen.video, other.video)
    pipe.save_pretrained(tmp_path)
    again = made(IdolPipeline.from_pretrained(tmp_path))
    assert np.abs(again.video.astype(int) - seen.video).max() <= 1


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
