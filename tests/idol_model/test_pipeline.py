"""IdolPipeline: what goes in, what comes out, saving and strict loading."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_generation import SIZE, background, drawn_poses, person, pipeline, recipe, shared

import idol_model
from idol_model import IdolPipeline
from idol_model.loading import CheckpointError
from idol_model.picture_input import PictureError
from idol_model.pose_control import NoPoseConfig
from idol_prep import colormap


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    shared().save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def generate(pipe=None, frames=8, **settings):
    return (pipe or shared())(person(), background(), drawn_poses(frames), **settings)


@pytest.mark.parametrize("frames", [1, 3, 7, 8, 9, 19])
def test_as_many_frames_come_out_as_poses_go_in(frames):
    out = generate(frames=frames)
    assert out.video.shape == out.depth_rgb.shape == (frames, SIZE, SIZE, 3)
    assert out.video.dtype == out.depth_rgb.dtype == np.uint8
    assert out.depth.shape == out.confidence.shape == (frames, SIZE, SIZE)
    assert out.depth.dtype == out.confidence.dtype == np.float32
    assert 0 <= out.depth.min() <= out.depth.max() <= 1
    assert 0 <= out.confidence.min() <= out.confidence.max() <= 1


def test_the_depth_is_what_its_colours_say():
    out = generate()
    depth, residual = colormap.decode(out.depth_rgb, "hot")
    assert np.array_equal(out.depth, depth)
    assert np.allclose(out.confidence, np.clip(1 - residual, 0, 1))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, second, other = (generate(frames=11, seed=seed) for seed in (5, 5, 6))
    for name in ("video", "depth", "depth_rgb", "confidence"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(first.video, other.video)


@pytest.mark.parametrize("changed", ["foreground", "background", "poses"])
def test_every_condition_speaks(changed):
    given = {"foreground": person(), "background": background(), "poses": drawn_poses(8)}
    other = {
        "foreground": person()[::-1, :, [2, 1, 0, 3]],
        "background": background()[::-1],
        "poses": drawn_poses(8)[::-1],
    }
    assert not np.array_equal(shared()(**given).video, shared()(**given | {changed: other[changed]}).video)


def test_pil_pictures_and_arrays_are_the_same():
    pil = shared()(Image.fromarray(person()), Image.fromarray(background()), drawn_poses(8))
    assert np.array_equal(pil.video, generate().video)


def test_stream_gives_the_same_as_a_call_in_pieces():
    pieces = list(shared().stream(person(), background(), drawn_poses(19)))
    assert [len(piece.video) for piece in pieces] == [8, 6, 5]
    assert np.array_equal(np.concatenate([piece.video for piece in pieces]), generate(frames=19).video)


def test_progress_is_told_by_window_and_step():
    told = []
    generate(frames=9, on_step=told.append, num_inference_steps=2)
    assert [(at.window, at.step, at.steps) for at in told] == [(0, 1, 2), (0, 2, 2), (1, 1, 2), (1, 2, 2)]


def test_settings_are_the_recipes_where_left_out():
    sampling = recipe().sampling
    named = generate(num_inference_steps=sampling.steps, guidance_scale=sampling.guidance)
    assert np.array_equal(generate().video, named.video)
    assert not np.array_equal(generate().video, generate(guidance_scale=4.0).video)


def test_saved_and_loaded_it_gives_the_same_bytes(saved):
    loaded = idol_model.IdolPipeline.from_pretrained(saved)
    assert loaded.recipe == shared().recipe
    assert np.array_equal(generate(loaded, frames=10).video, generate(frames=10).video)


def test_a_saved_pipeline_is_a_plain_diffusers_folder(saved):
    names = {path.name for path in saved.iterdir()}
    networks = {"unet", "pose_control", "codec", "foreground"}
    assert names == {"model_index.json", "recipe.json", "scheduler"} | networks
    for name in networks:
        assert {path.name for path in (saved / name).iterdir()} == {
            "config.json",
            "diffusion_pytorch_model.safetensors",
        }


def test_another_scheduler_of_diffusers_can_take_over(saved):
    loaded = IdolPipeline.from_pretrained(saved)
    loaded.scheduler = EulerDiscreteScheduler.from_config(loaded.scheduler.config)
    assert generate(loaded).video.shape == (8, SIZE, SIZE, 3)


def test_a_model_without_pose_network_saves_and_loads(tmp_path):
    pipe = pipeline(pose_control=NoPoseConfig())
    pipe.save_pretrained(tmp_path / "free")
    loaded = IdolPipeline.from_pretrained(tmp_path / "free")
    assert np.array_equal(generate(loaded).video, generate(pipe).video)


def change_weights(file, change):
    weights = load_file(file)
    change(weights)
    save_file(weights, file)


def test_missing_unexpected_and_misshapen_weights_are_named(copy):
    def damage(weights):
        del weights["conv_out.bias"]
        weights["stranger"] = torch.zeros(1)
        weights["conv_in.bias"] = torch.zeros(3)

    change_weights(copy / "unet" / "diffusion_pytorch_model.safetensors", damage)
    with pytest.raises(CheckpointError) as caught:
        IdolPipeline.from_pretrained(copy)
    message = str(caught.value)
    for part in ("unet", "1 missing (conv_out.bias)", "1 unexpected (stranger)", "conv_in.bias (3,) instead of (16,)"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["unet", "pose_control", "codec", "foreground", "scheduler"])
def test_a_missing_component_is_named(copy, name):
    shutil.rmtree(copy / name)
    with pytest.raises(CheckpointError, match=f"incomplete, without {name}"):
        IdolPipeline.from_pretrained(copy)


def test_missing_weights_of_a_component_are_named(copy):
    (copy / "codec" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="codec: no weights"):
        IdolPipeline.from_pretrained(copy)


def test_damaged_weights_are_named(copy):
    file = copy / "foreground" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"foreground.*damaged"):
        IdolPipeline.from_pretrained(copy)


@pytest.mark.parametrize("name", ["model_index.json", "recipe.json"])
@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_is_no_checkpoint_is_refused(copy, name, content):
    (copy / name).unlink() if content is None else (copy / name).write_text(content)
    with pytest.raises(CheckpointError, match=name):
        IdolPipeline.from_pretrained(copy)


def test_another_pipelines_folder_is_refused(copy):
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(CheckpointError, match="holds a StableDiffusionPipeline"):
        IdolPipeline.from_pretrained(copy)


def test_a_recipe_of_another_size_does_not_fit(copy):
    other = json.loads((copy / "recipe.json").read_text())
    other["unet"]["widths"] = [32, 64]
    (copy / "recipe.json").write_text(json.dumps(other))
    with pytest.raises(CheckpointError, match="unet: weights do not fit"):
        IdolPipeline.from_pretrained(copy)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such checkpoint folder"):
        IdolPipeline.from_pretrained(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        IdolPipeline.from_pretrained(tmp_path / "file")


def test_an_unknown_scheduler_is_named_before_anything_is_loaded(tmp_path):
    shared().save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    index.write_text(index.read_text().replace("DDIMScheduler", "GuessScheduler"))
    with pytest.raises(CheckpointError, match=r"scheduler GuessScheduler: diffusers .* has none of that name"):
        IdolPipeline.from_pretrained(tmp_path)


def test_bad_inputs_are_refused():
    pipe = shared()
    with pytest.raises(ValueError, match="transparent everywhere"):
        pipe(np.zeros((8, 8, 4), np.uint8), background(), drawn_poses(8))
    with pytest.raises(PictureError, match="square uint8"):
        pipe(person(), background(), drawn_poses(8)[:, :20])
    with pytest.raises(PictureError, match="uint8"):
        pipe(person(), background() / 255, drawn_poses(8))
    with pytest.raises(ValueError, match="poses: none"):
        pipe(person(), background(), [])


def test_a_model_of_one_stream_says_that_it_makes_no_depth():
    single = recipe()
    changes = {
        name: dataclasses.replace(getattr(single, name), streams=1, **more)
        for name, more in (("unet", {"coupling": "none"}), ("pose_control", {}))
    }
    with pytest.raises(ValueError, match="makes no depth"):
        generate(pipeline(**changes))
