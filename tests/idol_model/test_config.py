"""Recipes survive JSON, overrides are typed, and every mistake is named."""

import json
import re

import pytest

from idol_model import recipes
from idol_model.config import ConfigError
from idol_model.pose_control import NoPoseConfig
from idol_model.recipe import Recipe


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_survives_json(name: str) -> None:
    recipe = recipes.get(name)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_overrides_reach_every_depth_and_choose_classes() -> None:
    recipe = recipes.get("debug").override(
        ["seed=7", "stages.1.lr=2e-4", "unet.coupling=none", 'pose_control={"kind": "none"}', "objective.w_mo=0"]
    )
    assert (recipe.seed, recipe.stages[1].lr, recipe.unet.coupling) == (7, 2e-4, "none")
    assert recipe.pose_control == NoPoseConfig()
    assert recipe.objective.w_mo == 0.0


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("sed=7", "no field 'sed'"),
        ("stages.9.steps=1", "no field '9'"),
        ("seed=often", "seed: expected int, got 'often'"),
        ("seed=true", "seed: expected int"),
        ("unet.coupling=magic", "unet.coupling: 'magic' is not one of 'none', 'joint_spatial'"),
        ('codec={"kind": "zip"}', "codec.kind: 'zip' is not one of"),
        ("unet.widths=[16, 30]", "30 is not divisible by groups"),
        ("diffusion.prediction=epsilon", "diffusion.prediction=v_prediction"),
        ("data.person_depth=[0]", "expected 2 values, got 1"),
        ("seed", "write field=value"),
    ],
)
def test_a_wrong_override_names_field_value_and_fix(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        recipes.get("debug").override([assignment])


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="choose from idol, demo, debug"):
        recipes.get("idle")


def test_windows_at_once_are_one_number_or_one_a_stage():
    one = recipes.get("idol").override(["memory.micro_batch=2"])
    assert [one.memory.windows_at_once(name) for name in ("image", "video")] == [2, 2]
    named = recipes.get("idol").override(['memory.micro_batch={"video": 1}'])
    assert [named.memory.windows_at_once(name) for name in ("image", "video")] == [None, 1]
    assert Recipe.from_dict(json.loads(json.dumps(named.to_dict()))) == named
    assert recipes.get("idol-24gb").override(["memory.micro_batch.video=2"]).memory.windows_at_once("video") == 2
    assert recipes.get("idol").memory.windows_at_once("image") is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", "memory.micro_batch: 0 is not at least 1"),
        ('{"video": 0}', "memory.micro_batch.video: 0 is not at least 1"),
        ('{"vidoe": 1}', "memory.micro_batch.vidoe: no stage of that name; choose from image, video"),
        ('{"video": "one"}', "memory.micro_batch.video: expected int, got 'one'"),
        ("[1]", "memory.micro_batch: expected int, got [1]"),
    ],
)
def test_windows_at_once_that_make_no_sense_are_named(value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        recipes.get("idol").override([f"memory.micro_batch={value}"])
