"""LoRA as a part of a recipe: what is trained, what is saved, who can load it."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from several_processes import train_in_processes
from tiny_base import base
from tiny_generation import background, drawn_poses, person
from tiny_recipes import SIDE
from tiny_recipes import tiny as tiny_of
from tiny_training import Stop, dancers, run, tiny

from idol_model import IdolModel, IdolPipeline, memory_plan, selection
from idol_model.lora import LoraConfig
from idol_model.lora.files import FILE, LoraError
from idol_model.lora.layers import adaptation
from idol_model.lora.pipeline import save
from idol_model.outputs import IdolOutput
from idol_model.recipe import Recipe

RANK = 2


def low_rank(steps: int = 4, **changes) -> Recipe:
    recipe = tiny(steps=steps, codec_stage=None, init_from=str(base()), lora=LoraConfig(rank=RANK), **changes)
    return dataclasses.replace(recipe, stages=recipe.stages[1:])


@functools.cache
def trained() -> Path:
    """The run of `low_rank`, made once."""
    folder = Path(tempfile.mkdtemp(prefix="idol-lora-run-"))
    run(low_rank(), folder)
    return folder


def pipeline(folder: Path) -> IdolPipeline:
    pipe = IdolPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def made(pipe: IdolPipeline) -> IdolOutput:
    return pipe(person(), background(), drawn_poses(3, SIDE, SIDE), num_inference_steps=2)


def test_only_the_updates_are_trained_and_the_model_holds_them() -> None:
    before, after = pipeline(base()), pipeline(trained() / "model")
    changed = set()
    for part in ("unet", "pose_control", "codec", "foreground"):
        ours, theirs = getattr(before, part).state_dict(), getattr(after, part).state_dict()
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            update = theirs[name] - value
            if update.any():
                changed.add(f"{part}.{name}")
                spectrum = torch.linalg.svdvals(update.double())
                assert (spectrum > 1e-4 * spectrum[0]).sum() <= RANK, name
    assert all(name.rpartition(".")[0].endswith(LoraConfig().targets) for name in changed)
    wanted = [".attn1.to_q.", ".attn2.to_v.", ".temporal.attn.to_k.", ".coupling.attn.to_q."]
    assert all(any(mark in name for name in changed) for mark in wanted)
    assert any(name.startswith("pose_control.") for name in changed)


def test_the_file_on_its_base_generates_what_the_merged_model_does() -> None:
    plain, merged, pipe = made(pipeline(base())), made(pipeline(trained() / "model")), pipeline(base())
    pipe.load_lora_weights(trained())
    assert np.abs(made(pipe).video.astype(int) - merged.video).max() <= 1
    assert not np.array_equal(plain.video, merged.video)
    assert pipe.get_list_adapters() == {"unet": ["default_0"], "pose_control": ["default_0"]}
    pipe.set_adapters("default_0", 0.0)
    assert np.array_equal(made(pipe).video, plain.video)
    pipe.unload_lora_weights()
    assert np.array_equal(made(pipe).video, plain.video)


def test_a_pipeline_is_saved_with_its_lora_in_the_weights_or_without(tmp_path: Path) -> None:
    pipe = pipeline(base())
    pipe.load_lora_weights(trained(), adapter_name="dance")
    with pytest.raises(LoraError, match=r"save_pretrained.*attached \(dance\).*fuse_lora"):
        pipe.save_pretrained(tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    adapted = made(pipe).video
    pipe.fuse_lora(components=["unet", "pose_control"])
    pipe.unload_lora_weights()
    pipe.save_pretrained(tmp_path / "fused")
    assert np.abs(made(pipeline(tmp_path / "fused")).video.astype(int) - adapted).max() <= 1


def test_diffusers_reads_the_file_by_itself() -> None:
    ours, theirs = pipeline(base()), pipeline(base())
    ours.load_lora_weights(trained() / "lora" / FILE, adapter_name="dance")
    for name in ("unet", "pose_control"):
        getattr(theirs, name).load_lora_adapter(str(trained() / "lora"), prefix=name, weight_name=FILE)
    assert np.array_equal(made(ours).video, made(theirs).video)


def test_several_files_add_up() -> None:
    pipe, once = pipeline(base()), pipeline(base())
    for _ in range(2):
        pipe.load_lora_weights(load_file(trained() / "lora" / FILE))
    pipe.set_adapters(["default_0", "default_1"], [0.25, 0.5])
    once.load_lora_weights(trained() / "lora")
    once.set_adapters("default_0", 0.75)
    assert np.abs(made(pipe).video.astype(int) - made(once).video).max() <= 1


def test_a_stopped_run_ends_as_if_it_never_was(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(low_rank(), tmp_path, stop_at=("video", 3))
    run(low_rank(), tmp_path)
    ours, theirs = load_file(tmp_path / "lora" / FILE), load_file(trained() / "lora" / FILE)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ddp", "fsdp"])
def test_processes_train_the_same_updates(engine: str, tmp_path: Path) -> None:
    done = train_in_processes(low_rank(), dancers(), tmp_path / "run", engine=engine)
    assert done.returncode == 0, done.stderr
    ours, theirs = load_file(tmp_path / "run" / "lora" / FILE), load_file(trained() / "lora" / FILE)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, atol=2e-4), name


@pytest.mark.parametrize("name", ["idol", "separate", "mm-diffusion", "animatediff", "t2i-adapter", "haop", "ldm3d"])
def test_every_kind_of_network_carries_updates(name: str) -> None:
    recipe = dataclasses.replace(tiny_of(name), lora=LoraConfig(rank=RANK))
    model = IdolModel.from_recipe(recipe)
    whole = len(model.state_dict())
    adaptation(recipe.lora).attach(model)
    trainable = [name for name, _ in model.trainable()]
    assert trainable
    assert all("lora_" in name for name in trainable)
    assert len(model.state_dict()) == whole + len(trainable)


def test_separate_networks_have_updates_of_their_own() -> None:
    recipe = dataclasses.replace(tiny_of("separate"), lora=LoraConfig(rank=RANK))
    model = IdolModel.from_recipe(recipe)
    adaptation(recipe.lora).attach(model)
    names = [name for name, _ in model.trainable() if "attn1.to_q.streams" in name]
    assert {name.partition(".streams.")[2][0] for name in names} == {"0", "1"}


def test_the_plan_counts_the_updates_alone_as_trained() -> None:
    recipe, whole = low_rank(), dataclasses.replace(low_rank(), lora=LoraConfig())
    model = selection.meta_model(recipe)
    (stage,) = selection.stage_selections(model, recipe)
    held = sum(tensor.numel() for tensor in load_file(trained() / "lora" / FILE).values())
    assert sum(stage.trained.values()) == held
    assert selection.paper_counts(model) == selection.paper_counts(selection.meta_model(whole))
    (plan,) = memory_plan.plan(recipe)
    assert plan.gradients == 4 * held
    assert plan.optimizer == 8 * held


def other_width(tensors: dict) -> dict:
    return {name: value[..., : value.shape[-1] // 2].contiguous() for name, value in tensors.items()}


def other_layers(tensors: dict) -> dict:
    return {name.replace("down_blocks.0", "down_blocks.7"): value for name, value in tensors.items()}


def no_lora(tensors: dict) -> dict:
    return {"unet.conv_in.weight": torch.zeros(2, 2)}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_width, r"inputs, the file 8"),
        (other_layers, r"has no layer down_blocks\.7"),
        (no_lora, r"unet\.conv_in\.weight is not a LoRA tensor"),
        (lambda tensors: {}, "it is empty"),
    ],
)
def test_the_lora_of_another_model_is_refused_whole(spoil: Callable, said: str, tmp_path: Path) -> None:
    save_file(spoil(load_file(trained() / "lora" / FILE)), tmp_path / FILE)
    pipe = pipeline(base())
    with pytest.raises(LoraError, match=rf"(?s){FILE}.*{said}.*trained from"):
        pipe.load_lora_weights(tmp_path)
    assert not any("lora" in name for name in pipe.unet.state_dict())


def test_a_damaged_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    pipe = pipeline(base())
    with pytest.raises(FileNotFoundError, match=FILE):
        pipe.load_lora_weights(tmp_path)
    (tmp_path / FILE).write_bytes(b"no tensors")
    with pytest.raises(LoraError, match="damaged"):
        pipe.load_lora_weights(tmp_path)


def test_alpha_travels_with_the_file(tmp_path: Path) -> None:
    pipe, again = pipeline(base()), pipeline(base())
    recipe = dataclasses.replace(low_rank(), lora=LoraConfig(rank=RANK, alpha=6.0, targets=("to_q",)))
    model = IdolModel(pipe.unet, pipe.pose_control, pipe.foreground, pipe.codec)
    adaptation(recipe.lora).attach(model)
    with torch.no_grad():
        for _, parameter in model.trainable():
            parameter.add_(0.1)
    save({"unet": pipe.unet}, tmp_path)
    again.load_lora_weights(tmp_path)
    changed = made(again).video
    pipe.pose_control.unload_lora()
    assert np.array_equal(changed, made(pipe).video)
    assert not np.array_equal(changed, made(pipeline(base())).video)


@pytest.mark.parametrize(("given", "said"), [({"rank": -1}, "lora.rank"), ({"rank": 1, "targets": ()}, "lora.targets")])
def test_what_makes_no_sense_is_named(given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LoraConfig(**given)


def test_layers_that_are_not_there_are_named() -> None:
    with pytest.raises(ValueError, match=r"lora\.targets.*to_x"):
        selection.meta_model(dataclasses.replace(low_rank(), lora=LoraConfig(rank=1, targets=("to_x",))))
