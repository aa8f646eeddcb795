"""Every row of the paper's tables is a recipe that builds, with the parameters the paper counts."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest

import idol_model
from idol_eval import paper_values
from idol_model import recipes, selection
from idol_model.model import IdolModel
from idol_model.objective import ObjectiveConfig
from idol_model.recipe import Recipe
from idol_model.weights import earlier
from idol_model.weights.fit import load

MILLIONS = {
    "idol": 1410.70,
    "idol-literal": 1410.70,
    "midas": 1410.70,
    "xattn": 1410.70,
    "coupled": 1410.70,
    "dwpose": 0,
    "shared": 1393.49,
    "separate": 2786.98,
    "mm-diffusion": 2821.41,
    "maps-averaged": 1410.70,
    "maps-video": 1410.70,
    "no-pretraining": 1410.70,
    "after-hap": 1410.70,
    "video-only": 1393.49,
    "ldm3d": 1393.49,
    "midas-ldm3d": 1393.49,
    "midas-mm-diffusion": 2821.41,
    "midas-video-only": 1393.49,
    "haop": 859.52,
    "hap": 859.52,
}
"""U-Net with coupling and pose network; the label and the background's convolution are not in the paper's counts."""


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_builds_and_reads_back(name: str) -> None:
    recipe = recipes.get(name)
    assert recipe.name == name
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    model = selection.meta_model(recipe)
    counts = selection.paper_counts(model)
    if MILLIONS.get(name):
        assert counts["with_coupling"] / 1e6 == pytest.approx(MILLIONS[name], abs=0.01)
    for stage in selection.stage_selections(model, recipe):
        assert sum(stage.trained.values()) > 0
    if recipe.init_from is not None:
        before = full(Path(recipe.init_from).name)
        parts = earlier.continued(model, before, lambda part: getattr(before, part).state_dict(), recipe.init_from)
        assert {"unet", "foreground", "codec"} <= {fit.part for fit in load(recipe.init_from, *parts)}


@functools.cache
def full(name: str) -> IdolModel:
    """The recipe's model at its real size, without storage."""
    return selection.meta_model(recipes.get(name))


def test_pretraining_leaves_the_resblocks_alone() -> None:
    model = selection.meta_model(recipes.get("haop"))
    chosen = selection.chosen_by(recipes.get("haop").stages[0], model.trainable())
    unet = [name for name, _ in chosen if name.startswith("unet.")]
    assert all("transformer_blocks" in name or "conv_background" in name for name in unet)
    assert selection.count(pair for pair in chosen if "transformer_blocks" in pair[0]) / 1e6 == pytest.approx(
        242.4, abs=0.1
    )


def test_every_place_is_a_row_of_the_papers_tables() -> None:
    named = {name: recipes.places(name) for name in recipes.names()}
    for places in named.values():
        for place in places:
            (row,) = paper_values.select(place.table, place.dataset, (place.row,))[:1]
            assert row.values
    told = {(place.table, place.row) for places in named.values() for place in places}
    for table in (2, 3, 4, 5, 6, 8):
        assert {(table, row.name) for row in paper_values.select(table)} <= told


@pytest.mark.parametrize("name", ["ldm3d", "mm-diffusion", "video-only"])
def test_table_2_differs_from_table_1_in_the_depth_alone(name: str) -> None:
    one, two = recipes.get(name).to_dict(), recipes.get(f"midas-{name}").to_dict()
    assert two["data"] == recipes.get("midas").to_dict()["data"]
    assert (one["data"].pop("colormap"), two["data"].pop("colormap")) == ("hot", "gray")
    for recipe in (one, two):
        del recipe["name"], recipe["summary"]
    assert one == two
    rows = {(place.row, place.dataset) for place in recipes.places(f"midas-{name}")}
    assert rows == {(place.row, place.dataset) for place in recipes.places(name)}


def test_recipes_with_terms_read_them_by_row_and_the_literal_one_to_the_letter() -> None:
    literal, shipped = recipes.get("idol-literal"), Path(idol_model.__file__).parent / "assets" / "demo" / "recipe.json"
    saved = Recipe.from_dict(json.loads(shipped.read_text(encoding="utf-8")))  # from before there were norms
    assert literal.objective == saved.objective == ObjectiveConfig()
    found = {name: recipes.get(name).objective for name in recipes.names() if name != "idol-literal"}
    acting = {name: terms for name, terms in found.items() if terms.w_mo or terms.w_xattn}
    assert {"idol", "idol-24gb", "demo", "debug", "xattn", "midas", "animatediff", "after-hap"} <= set(acting)
    for name, terms in acting.items():
        reading = (terms.motion_feature, terms.motion_norm, terms.xattn_norm)
        assert reading == ("self_attention_input", "row", "row"), name
    assert replace(literal, name="idol", summary=recipes.get("idol").summary, objective=found["idol"]) == recipes.get(
        "idol"
    )
