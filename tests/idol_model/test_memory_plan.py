"""The plan of memory counts what a real step holds."""

import dataclasses

import pytest
import torch
from tiny_training import run, tiny

from idol_model import checkpoint, memory_plan
from idol_model.live_bytes import LiveBytes
from idol_model.recipe import MemoryConfig, Recipe


def planned(recipe: Recipe, stage: str) -> memory_plan.StageMemory:
    return next(found for found in memory_plan.plan(recipe) if found.stage == stage)


def one_stage(**changes) -> Recipe:
    recipe = tiny(codec_stage=None, cached=False, **changes)
    return dataclasses.replace(recipe, stages=recipe.stages[1:])


def test_live_bytes_are_those_of_tensors() -> None:
    with LiveBytes() as live:
        kept = torch.zeros(1000)
        part = kept[:10]
        doubled = kept * 2
        assert live.now == 8000
        del doubled
        assert (live.now, live.most) == (4000, 8000)
        del kept
        assert live.now == 4000  # its part is still there
        del part
    assert live.now == 0


def test_weights_optimiser_and_mean_are_what_a_checkpoint_holds(tmp_path) -> None:
    recipe = one_stage(steps=1)
    run(recipe, tmp_path)
    saved, plan = checkpoint.newest(tmp_path / "checkpoints"), planned(recipe, "video")
    assert saved is not None
    size = {name: sum(t.nbytes for t in saved.tensors(name).values()) for name in ("model", "optimizer", "ema")}
    assert sum(plan.weights.values()) == pytest.approx(size["model"], rel=1e-3)  # buffers are not counted
    assert plan.optimizer == pytest.approx(size["optimizer"], rel=1e-2)  # nor the number of steps beside each tensor
    assert plan.running_mean == size["ema"]
    assert plan.snapshot == pytest.approx(sum(size.values()), rel=1e-3)


def test_activations_shrink_as_they_should() -> None:
    plain = planned(one_stage(), "video").activations
    again = planned(one_stage(memory=MemoryConfig(recompute=True)), "video").activations
    single = planned(one_stage(memory=MemoryConfig(micro_batch=1)), "video").activations
    assert again < 0.6 * plain
    assert 0.4 * plain < single < 0.6 * plain  # two windows a step


def test_every_stage_is_counted_with_its_own_windows_at_once() -> None:
    recipe = tiny(codec_stage=None, cached=False)
    plans = [
        {found.stage: found for found in memory_plan.plan(dataclasses.replace(recipe, memory=memory))}
        for memory in (MemoryConfig(micro_batch=1), MemoryConfig(micro_batch={"image": 2, "video": 1}))
    ]
    assert [(plan["image"].windows, plan["video"].windows) for plan in plans] == [(1, 1), (2, 1)]
    assert plans[0]["video"] == plans[1]["video"]
    assert plans[1]["image"].activations > 1.6 * plans[0]["image"].activations


def test_activations_are_what_a_real_step_holds() -> None:
    recipe = one_stage()
    expected = planned(recipe, "video").activations
    with torch.random.fork_rng():
        real = memory_plan.held_by(recipe, recipe.stages[0])
    assert real == pytest.approx(expected, rel=0.02)
