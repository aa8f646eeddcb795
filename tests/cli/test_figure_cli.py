"""``idol figure 4``: HAP against HAOP on one picture."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_recipes
import torch
from click.testing import Result
from PIL import Image
from tiny_generation import background, person
from typer.testing import CliRunner

from cli.main import build_app
from idol_model.model import IdolModel
from idol_model.outpainting import Scene, compare
from idol_model.pipeline import IdolPipeline


def idol(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    Image.fromarray(person(40, 40)).save(tmp_path / "fg.png")
    Image.fromarray(background()).save(tmp_path / "bg.png")
    return [tmp_path / "fg.png", tmp_path / "bg.png"]


def model(name: str) -> Path:
    return tiny_recipes.finished(name) / "model"


def awake(name: str) -> IdolPipeline:
    """The tiny network with random weights in the place of zeros, so that the background tells."""
    torch.manual_seed(0)
    made = IdolModel.from_recipe(tiny_recipes.tiny(name))
    with torch.no_grad():
        for parameter in made.unet.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return IdolPipeline.from_model(made, tiny_recipes.tiny(name))


def test_the_hole_is_where_the_person_was_and_where_she_goes() -> None:
    """HAOP's is wider; each network paints every hole, from the same noise."""
    scene = Scene.of(person(40, 40), background(), tiny_recipes.SIDE)
    outline = scene.person[..., 3] > 127
    assert np.array_equal(scene.hole(0.0), outline)
    moved = scene.hole(0.25)
    assert np.array_equal(moved[:, 8:] & ~outline[:, 8:], outline[:, :-8] & ~outline[:, 8:])
    assert (moved & outline).sum() == outline.sum()
    pipes = {name: awake(name.lower()) for name in ("HAP", "HAOP")}
    hap, haop = compare(pipes, scene, shifts=(0.0, 0.25), steps=1)
    cut = [(np.abs(row.given[1].astype(int) - 127) == 0).all(-1) for row in (hap, haop)]
    assert np.array_equal(cut[0] | moved, cut[0])
    assert (cut[1] & ~cut[0]).sum() > 20
    assert (hap.label, haop.label) == ("HAP (hap)", "HAOP (haop)")
    assert all(picture.shape == (32, 32, 3) for row in (hap, haop) for picture in row.made)
    assert not np.array_equal(hap.made[0], hap.made[1])


def test_a_sheet_from_two_models_of_pretraining(pictures: list[Path], tmp_path: Path) -> None:
    asked = [
        "figure",
        "4",
        *pictures,
        "--hap",
        model("hap"),
        "--haop",
        model("haop"),
        "--steps",
        "1",
        "-o",
        tmp_path / "f",
    ]
    done = idol(*asked, "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["shifts"] == [0.0, -0.2, 0.2]
    assert set(answer["checkpoints"]) == {"HAP", "HAOP"}
    first = np.asarray(Image.open(answer["sheet"]))
    assert first.shape[0] > 5 * 192
    assert json.loads((tmp_path / "f" / "figure-4.json").read_text())["seed"] == 0
    assert idol(*asked).exit_code == 0
    assert np.array_equal(first, np.asarray(Image.open(answer["sheet"])))


def test_models_that_know_poses_are_refused(pictures: list[Path], tmp_path: Path) -> None:
    done = idol("figure", "4", *pictures, "--hap", model("video-only"), "--haop", model("haop"), "-o", tmp_path)
    assert done.exit_code == 2
    assert "HAP: recipe video-only takes poses" in done.stderr
    assert "idol train hap" in done.stderr
