"""From a checkpoint and data to a recipe, and what a tuned codec does to the latents."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_base import base
from tiny_training import dancers, run, tiny

from cli.bench.ceiling import CodecCeiling
from idol_eval import psnr
from idol_eval.samples import EvalClip
from idol_model import IdolPipeline, checkpoint, loading, memory_plan, selection
from idol_model.codecs.ceiling import Ceiling, ceiling, load_codec
from idol_model.config import ConfigError
from idol_model.feed.training_data import TrainingData
from idol_model.finetuning import Base, Facts, Plan, Wishes, plan
from idol_model.recipe import CodecStage, CodecTrained
from idol_prep.schema import Dataset

BASE = Base(Path("demo"), loading.read_recipe(checkpoint.shipped()), "shipped:demo")


def facts(**changes) -> Facts:
    usual = {"lengths": (184, 63), "plates": False, "ceiling": Ceiling(23.5, "test", 1, 8)}
    return Facts(base=BASE, **usual | changes)


def reasons(made: Plan) -> dict[str, str]:
    return {one.field: one.reason for one in made.chosen}


@pytest.mark.parametrize(
    ("lengths", "asked", "name", "frames"),
    [
        ((184, 63), "auto", "video", 8),
        ((7, 3), "auto", "image", 1),
        ((1,) * 30, "auto", "image", 1),
        ((7, 8), "auto", "video", 8),
        ((184, 63), "image", "image", 1),
    ],
)
def test_the_stage_follows_the_length_of_clips(lengths: tuple[int, ...], asked: str, name: str, frames: int) -> None:
    (stage,) = plan(facts(lengths=lengths), Wishes(stage=asked)).recipe.stages  # type: ignore[arg-type]
    assert (stage.name, stage.frames) == (name, frames)
    like = next(one for one in BASE.recipe.stages if one.name == name)
    assert (stage.lr, stage.clip_norm, stage.ema) == (like.lr, like.clip_norm, like.ema)
    made = plan(facts(lengths=lengths), Wishes(stage=asked)).recipe  # type: ignore[arg-type]
    assert made.window == 8  # trained on pictures too, it generates as it did
    again = dataclasses.replace(BASE, recipe=made)
    assert plan(dataclasses.replace(facts(), base=again), Wishes()).recipe.stages[0].frames == 8


def test_steps_follow_the_windows_within_bounds() -> None:
    def steps(*lengths: int) -> int:
        return plan(facts(lengths=lengths), Wishes()).recipe.stages[0].steps

    assert steps(184, 63) == round(30 * (23 + 7) / 2)
    assert steps(8) == 150
    assert steps(*[800] * 50) == 2000
    one = plan(facts(lengths=(8,)), Wishes())
    assert one.recipe.stages[0].batch_size == 1
    assert "hold 1 windows" in reasons(one)["stages.0.batch_size"]


def test_the_codec_is_tuned_where_it_caps_the_data() -> None:
    below, enough = plan(facts(), Wishes()), plan(facts(ceiling=Ceiling(28.0, "val", 1, 8)), Wishes())
    assert below.recipe.codec_stage is not None
    assert (below.recipe.codec_stage.trains, below.recipe.codec_stage.calibration) == ("all", "kept")
    assert "23.5 dB" in reasons(below)["codec_stage.trains"]
    assert enough.recipe.codec_stage is None
    assert plan(facts(), Wishes(codec="keep")).recipe.codec_stage is None
    pictures = plan(facts(lengths=(1,), ceiling=None), Wishes())
    assert pictures.recipe.codec_stage is None


def test_lora_keeps_the_latents_of_its_checkpoint() -> None:
    made = plan(facts(), Wishes(lora=16))
    assert made.recipe.lora.rank == 16
    assert made.recipe.codec_stage is not None
    assert made.recipe.codec_stage.trains == "decoder"
    assert made.recipe.stages[0].lr > plan(facts(), Wishes()).recipe.stages[0].lr


def test_backgrounds_follow_the_plates() -> None:
    assert plan(facts(plates=True), Wishes()).recipe.data.background == "plate"
    assert plan(facts(), Wishes()).recipe.data.background == "reference"


def test_assignments_overrule_and_say_so() -> None:
    asked = ("stages.0.steps=7", "data.background=mixed", "seed=9", "codec_stage.steps=3")
    made = plan(facts(), Wishes(assignments=asked))
    chosen = {one.field: (one.value, one.reason) for one in made.chosen}
    assert made.recipe.stages[0].steps == 7
    assert chosen["stages.0.steps"] == (7, "asked for")
    assert chosen["data.background"] == ("mixed", "asked for")
    assert chosen["seed"] == (9, "asked for")
    assert chosen["codec_stage.steps"] == (3, "asked for")
    assert made.recipe.init_from == "shipped:demo"
    with pytest.raises(ConfigError, match=r"stages\.1\.steps"):
        plan(facts(), Wishes(assignments=("stages.1.steps=7",)))


def test_a_video_stage_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"frames: 8, and the longest clip has 7"):
        plan(facts(lengths=(7,)), Wishes(stage="video"))
    stills = dataclasses.replace(BASE, recipe=dataclasses.replace(BASE.recipe, stages=BASE.recipe.stages[:1]))
    with pytest.raises(ValueError, match="single pictures only"):
        plan(dataclasses.replace(facts(), base=stills), Wishes(stage="video"))


def test_facts_are_those_of_the_manifest() -> None:
    data = TrainingData.open(dancers())
    found = Facts.of(BASE, data, None)
    assert found.lengths == (10,) * 4
    assert found.plates  # synthetic dancers have one each


def test_checkpoints_are_found_by_name_run_and_folder(tmp_path: Path) -> None:
    shipped = Base.located("demo")
    assert (shipped.folder, shipped.init_from) == (checkpoint.shipped(), "shipped:demo")
    assert Base.located(str(base())).init_from == str(base())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="holds no finished model"):
        Base.located(str(tmp_path / "run"))
    (tmp_path / "run" / "model").symlink_to(base())
    assert Base.located(str(tmp_path / "run")).folder == tmp_path / "run" / "model"
    with pytest.raises(FileNotFoundError, match="absent"):
        Base.located(str(tmp_path / "absent"))


def test_the_ceiling_is_what_the_benchmark_measures() -> None:
    pipe, dataset = IdolPipeline.from_pretrained(base()), Dataset.open(dancers())
    found = ceiling(load_codec(pipe.recipe, base()), pipe.recipe, dataset)
    scores = []
    for record in dataset.records(found.split):
        frames = dataset.clip(record.id).frames()[np.unique(np.linspace(0, 9, 8).round().astype(int))]
        answer = CodecCeiling(pipe=pipe).answer(EvalClip(id=record.id, video=frames))
        scores.append(psnr(answer.video, frames))
    assert found.psnr == pytest.approx(np.mean(scores), abs=0.01)
    assert (found.clips, found.frames) == (len(scores), 8 * len(scores))


@pytest.mark.parametrize("trains", ["decoder", "all"])
def test_a_codec_tuned_as_asked_keeps_what_it_should(trains: CodecTrained, tmp_path: Path) -> None:
    stage = CodecStage(steps=2, batch_size=4, pictures=8, trains=trains, calibration="kept")
    recipe = tiny(init_from=str(base()), codec_stage=stage, steps=1)
    recipe = dataclasses.replace(recipe, stages=recipe.stages[:1])
    run(recipe, tmp_path)
    before, after = (
        load_file(folder / "codec" / "diffusion_pytorch_model.safetensors") for folder in (base(), tmp_path / "model")
    )
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder": {"decoder"}, "all": {"encoder", "decoder"}}[trains]
    counted = selection.stage_selections(selection.meta_model(recipe), recipe)[0].trained["codec"]
    assert counted == sum(before[name].numel() for name in before if name.partition(".")[0] in changed)
    assert next(memory_plan.plan(recipe)).gradients == 4 * counted
