"""Which end of the depth is near comes from the training data, and goes with the model wherever it goes."""

import json
from pathlib import Path

import pytest
import tiny_generation
import tiny_recipes
import tiny_training
from tiny_training import dancers

from cli import _checkpoint
from idol_model import checkpoint, weights
from idol_model.checkpoint import Position
from idol_model.device import place
from idol_model.feed.training_data import TrainingData
from idol_model.forking import fork
from idol_model.model import IdolModel
from idol_model.pipeline import IdolPipeline
from idol_model.render.exports import _frame, _info
from idol_model.run_state import RunFolder, RunMismatch
from idol_model.samples import SampleInfo, SampleWriter
from idol_model.training import TrainOptions, save_model, train
from idol_prep.video import read_ffv1


@pytest.fixture(scope="module")
def grey_of_distances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that colours distances in grey, which the paper does with inverse depth."""
    folder = tmp_path_factory.mktemp("grey") / "model"
    recipe = tiny_generation.recipe().override(["data.colormap=gray"])
    shared = tiny_generation.shared()
    model = IdolModel(shared.unet, shared.pose_control, shared.foreground, shared.codec)
    save_model(model, recipe, folder, "distance")
    return folder


def test_samples_and_exports_follow_the_data(grey_of_distances: Path, tmp_path: Path) -> None:
    pipe = IdolPipeline.from_pretrained(grey_of_distances)
    info = SampleInfo.of(pipe, {}, id="a", fps=12)
    out = pipe(
        tiny_generation.person(), tiny_generation.background(), tiny_generation.drawn_poses(2), num_inference_steps=1
    )
    with SampleWriter(tmp_path / "a", info) as writer:
        writer.append(out)
        record = writer.finish({})
    assert (record["colormap"], record["depth"]["polarity"]) == ("gray", "distance")
    _, near_is_0 = _frame(tmp_path / "a", _info(tmp_path / "a"), 0)
    assert near_is_0 == pytest.approx(read_ffv1(tmp_path / "a" / "depth.mkv")[0] / 65535)


def test_a_checkpoint_that_does_not_say_goes_by_its_colours_and_says_so(
    grey_of_distances: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _checkpoint.load(grey_of_distances, place("cpu"))
    assert capsys.readouterr().err == ""
    index = grey_of_distances / "model_index.json"
    content = index.read_text()
    try:
        index.write_text(json.dumps({k: v for k, v in json.loads(content).items() if k != "depth_polarity"}))
        pipe, _ = _checkpoint.load(grey_of_distances, place("cpu"))
    finally:
        index.write_text(content)
    assert pipe.depth_polarity == "inverse"
    said = capsys.readouterr().err
    assert said.count("by its colormap gray it counts as inverse") == 1


def test_the_shipped_checkpoint_says_it() -> None:
    assert json.loads((checkpoint.shipped() / "model_index.json").read_text())["depth_polarity"] == "distance"


def test_an_unknown_polarity_is_refused() -> None:
    model = tiny_generation.shared()
    with pytest.raises(ValueError, match="depth_polarity: 'near' is unknown; give distance or inverse"):
        IdolPipeline(model.unet, model.pose_control, model.codec, model.foreground, None, model.recipe, "near")  # type: ignore[arg-type]


def test_beginning_from_a_run_of_the_other_polarity_is_said(tmp_path: Path) -> None:
    recipe = tiny_recipes.tiny("coupled")
    save_model(IdolModel.from_recipe(recipe), recipe, tmp_path / "before" / "model", "inverse")
    after = recipe.override([f"init_from={tmp_path / 'before'}"])
    assert weights.depth_polarity(str(tmp_path / "before")) == "inverse"
    with (
        pytest.warns(UserWarning, match="was trained on inverse depth and the data has distance depth"),
        pytest.raises(ValueError, match="stage none"),  # the run need not go on
    ):
        train(after, dancers(), tmp_path / "run", TrainOptions(device="cpu", stage="none", command=[]))


def test_a_fork_on_the_other_polarity_is_refused(tmp_path: Path) -> None:
    recipe = tiny_training.tiny()
    now = TrainingData.open(dancers()).record()
    assert [source["depth_polarity"] for source in now] == ["distance"]
    run = RunFolder.open(tmp_path / "old", recipe, [now[0] | {"depth_polarity": "inverse"}], [])
    at = Position(stage="image", stage_index=1, step=1)
    checkpoint.save(run.checkpoints, at, {"model": IdolModel.from_recipe(recipe).state_dict()})
    with pytest.raises(RunMismatch, match="was trained on inverse depth, the data has distance depth"):
        fork(tmp_path / "old", tmp_path / "new", recipe, now, [])
    assert fork(tmp_path / "old", tmp_path / "newer", recipe, [now[0] | {"depth_polarity": "inverse"}], []).is_dir()
