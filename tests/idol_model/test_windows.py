"""Windows are a function of seed and step, and favour no clip."""

from collections import Counter

import pytest

from idol_model.data import DataShortage
from idol_model.recipe import DataConfig
from idol_model.windows import WindowPlan


def plan(lengths=(8, 20, 9, 300, 8), frames=8, batch_size=2, seed=1, **data) -> WindowPlan:
    return WindowPlan(lengths, frames, batch_size, DataConfig(**data), seed)


def test_a_step_is_the_same_whenever_it_is_asked_for():
    assert plan().step(1000) == plan().step(1000)
    forwards = [plan().step(step) for step in range(20)]
    shared = plan()
    assert [shared.step(step) for step in reversed(range(20))] == forwards[::-1]


def test_seeds_and_steps_differ():
    assert [plan(seed=1).step(s) for s in range(5)] != [plan(seed=2).step(s) for s in range(5)]
    assert len({plan(lengths=(3000,)).step(s) for s in range(50)}) == 50


def test_no_clip_is_favoured_whatever_its_length():
    seen = Counter(window.clip for step in range(500) for window in plan().step(step))
    assert set(seen.values()) == {200}


def test_every_start_of_a_clip_comes_and_none_runs_over_the_end():
    starts = Counter(window.start for step in range(600) for window in plan(lengths=(12, 12)).step(step))
    assert set(starts) == {0, 1, 2, 3, 4}
    assert min(starts.values()) > 0.8 * 1200 / 5
    assert all(window.stop - window.start == 8 for window in plan().step(3))


def test_an_image_stage_takes_any_single_frame():
    starts = {w.start for s in range(200) for w in plan(lengths=(5, 5), frames=1).step(s)}
    assert starts == {0, 1, 2, 3, 4}


def test_short_clips_are_counted_and_too_short_data_refused():
    assert plan(lengths=(7, 8, 9)).left_out == 1
    assert {w.clip for s in range(50) for w in plan(lengths=(7, 8, 9)).step(s)} == {1, 2}
    with pytest.raises(DataShortage, match=r"8 frames of a window \(longest: 7"):
        plan(lengths=(7, 5))


def test_backgrounds_and_dropout_follow_the_recipe():
    windows = [w for s in range(1000) for w in plan(background="mixed", foreground_dropout=0.25).step(s)]
    assert 0.45 < sum(w.background == "plate" for w in windows) / len(windows) < 0.55
    assert 0.21 < sum(w.foreground_left_out for w in windows) / len(windows) < 0.29
    assert {w.background for w in plan(background="plate").step(0)} == {"plate"}
    assert not any(w.foreground_left_out for s in range(50) for w in plan().step(s))
