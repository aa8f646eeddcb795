"""The chain of runs, one stage of it, and forks."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from tiny_training import Stop, dancers, run, tiny

from idol_model import chain, checkpoint, recipes
from idol_model.feed.training_data import TrainingData
from idol_model.forking import fork
from idol_model.recipe import Recipe
from idol_model.run_state import RunMismatch
from idol_model.training import TrainOptions, train


def only(stage: str, folder: Path, recipe: Recipe | None = None) -> Path:
    return train(recipe or tiny(), dancers(), folder, TrainOptions(device="cpu", stage=stage, command=["test"]))


def saved(folder: Path) -> checkpoint.Checkpoint:
    found = checkpoint.newest(folder / "checkpoints")
    assert found is not None
    return found


def test_the_papers_chain_is_pretraining_images_video(tmp_path) -> None:
    links = chain.links(recipes.get("idol"), tmp_path / "idol")
    assert [(link.recipe.name, link.stages) for link in links] == [
        ("haop", ("attributes",)),
        ("idol", ("image", "video")),
    ]
    assert links[0].run == Path("runs/haop")
    assert [link.recipe.name for link in chain.links(recipes.get("after-hap"), tmp_path)] == ["hap", "after-hap"]
    small = chain.links(recipes.get("idol-24gb"), tmp_path)
    assert [link.recipe.name for link in small] == ["haop-24gb", "idol-24gb"]


def test_what_begins_from_a_model_or_from_nothing_is_no_chain(tmp_path) -> None:
    (tmp_path / "haop" / "unet").mkdir(parents=True)
    begun = dataclasses.replace(recipes.get("idol"), init_from=str(tmp_path / "haop"))
    assert len(chain.links(begun, tmp_path)) == 1
    assert len(chain.links(recipes.get("no-pretraining"), tmp_path)) == 1


def test_a_stage_is_found_in_its_run_or_named_unknown(tmp_path) -> None:
    links = chain.links(recipes.get("idol"), tmp_path)
    assert chain.with_stage(links, "attributes").recipe.name == "haop"
    with pytest.raises(ValueError, match="--stage vido: no run of the chain has it; haop has attributes, idol has"):
        chain.with_stage(links, "vido")


def test_stage_after_stage_ends_as_all_at_once(tmp_path) -> None:
    with pytest.raises(ValueError, match="stage video: codec comes before it and is not done"):
        only("video", tmp_path / "parts")
    for stage in ("codec", "image"):
        assert only(stage, tmp_path / "parts").name == f"{stage}-000004"
    assert only("video", tmp_path / "parts") == tmp_path / "parts" / "model"
    run(tiny(), tmp_path / "whole")
    ours, theirs = (saved(tmp_path / name).tensors("model") for name in ("parts", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_changed_recipe_goes_on_as_a_fork_that_says_so(tmp_path) -> None:
    with pytest.raises(Stop):
        run(tiny(), tmp_path / "old", stop_at=("image", 3))
    changed = tiny().override(["stages.1.lr=0.001"])
    with pytest.raises(RunMismatch, match=r"stages\.1\.lr: was 0\.0003, now 0\.001.*--fork"):
        run(changed, tmp_path / "old")
    data = TrainingData.open(dancers()).record()
    fork(tmp_path / "old", tmp_path / "new", changed, data, ["test"])
    origin = json.loads((tmp_path / "new" / "run.json").read_text())["forked_from"]
    assert origin["checkpoint"] == "image-000002"
    assert origin["first_difference"] == "stages.1.lr: was 0.0003, now 0.001"
    run(changed, tmp_path / "new")
    assert (tmp_path / "new" / "model" / "model_index.json").exists()
    lines = [json.loads(line) for line in (tmp_path / "new" / "log.jsonl").read_text().splitlines()]
    assert (lines[0]["stage"], lines[0]["step"]) == ("image", 3)
    with pytest.raises(RunMismatch, match="holds a run already"):
        fork(tmp_path / "old", tmp_path / "new", changed, data, ["test"])


def test_a_fork_that_does_not_fit_is_refused_with_the_first_tensor(tmp_path) -> None:
    with pytest.raises(Stop):
        run(tiny(), tmp_path / "old", stop_at=("image", 3))
    data = TrainingData.open(dancers()).record()
    wider = tiny().override(["foreground.width=16"])
    with pytest.raises(RunMismatch, match="tensors do not fit the changed recipe, first foreground"):
        fork(tmp_path / "old", tmp_path / "new", wider, data, ["test"])
    with pytest.raises(RunMismatch, match="optimizer: was 'adamw', now 'sgd'"):
        fork(tmp_path / "old", tmp_path / "new", tiny(optimizer="sgd"), data, ["test"])
    with pytest.raises(RunMismatch, match="holds no checkpoint to fork from"):
        (tmp_path / "old" / "checkpoints").rename(tmp_path / "gone")
        fork(tmp_path / "old", tmp_path / "new", tiny(), data, ["test"])
    assert not (tmp_path / "new").exists()
