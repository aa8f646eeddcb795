"""Windows are a function of seed and step, and favour no clip."""

import itertools
from collections import Counter

import pytest

from idol_model.data import DataShortage
from idol_model.feed.mixture import BLOCK, Mixture
from idol_model.feed.order import SHARDS_TOGETHER, ClipOrder, Key, Order, ShardOrder
from idol_model.recipe import DataConfig
from idol_model.windows import Drawing, WindowPlan


def plan(lengths=(8, 20, 9, 300, 8), frames=8, batch_size=2, seed=1, **data) -> WindowPlan:
    drawing = Drawing([ClipOrder(lengths, frames, Key(seed))], Mixture([1.0], seed))
    return WindowPlan(drawing, frames, batch_size, DataConfig(**data), seed)


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


def mixed(*orders: Order, weights: tuple[float, ...], batch_size: int = 4, seed: int = 3) -> WindowPlan:
    return WindowPlan(Drawing(orders, Mixture(weights, seed)), 1, batch_size, DataConfig(), seed)


def clips(count: int, source: int = 0) -> ClipOrder:
    return ClipOrder([1] * count, 1, Key(3, source))


def test_sources_have_their_shares_in_every_thousand_samples():
    shares = Mixture([1.0, 0.3, 0.01], seed=3)
    for block in range(3):
        seen = Counter(shares.place(block * BLOCK + i)[0] for i in range(BLOCK))
        assert [seen[source] for source in range(3)] == [763, 229, 8]
        assert abs(seen[1] / BLOCK - 0.3 / 1.31) < 1 / BLOCK


def test_samples_of_a_source_are_counted_without_memory():
    shares, counts = Mixture([2, 1, 1], seed=5), Counter()
    for number in range(2500):
        source, nth = shares.place(number)
        assert nth == counts[source]
        counts[source] += 1
    assert shares.place(12_345) == Mixture([2, 1, 1], seed=5).place(12_345)


def test_sources_are_shuffled_among_each_other():
    drawn = [Mixture([1, 1], seed=5).place(number)[0] for number in range(BLOCK)]
    changes = sum(a != b for a, b in itertools.pairwise(drawn))
    assert 0.4 * BLOCK < changes < 0.6 * BLOCK
    assert drawn != [Mixture([1, 1], seed=6).place(number)[0] for number in range(BLOCK)]


@pytest.mark.parametrize("weights", [(1.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (1.0, float("inf"))])
def test_a_weight_that_is_none_is_refused(weights):
    with pytest.raises(ValueError, match=r"--data: weight .* is none; give a number above 0"):
        Mixture(weights, seed=0)


def test_a_weight_too_small_to_be_kept_is_refused():
    with pytest.raises(ValueError, match=r"weight 0\.0001 beside 1\.0001 in all is less than one sample in 1000"):
        Mixture([1.0, 0.0001], seed=0)


def test_a_second_source_leaves_the_clips_of_the_first_in_their_order():
    alone = [w.clip for s in range(400) for w in plan(lengths=(1,) * 50, frames=1, seed=3).step(s)]
    beside = [
        w.clip for s in range(200) for w in mixed(clips(50), clips(9, 1), weights=(3, 1)).step(s) if w.source == 0
    ]
    assert beside == alone[: len(beside)]


def test_pictures_of_shards_come_once_in_an_epoch_and_differ_in_the_next():
    sizes = [30, 7, 50, 1] * 10
    order = ShardOrder(sizes, Key(1))
    epochs = [[order.at(epoch * order.items + i) for i in range(order.items)] for epoch in range(3)]
    assert order.items == sum(sizes)
    assert all(sorted(epoch) == list(range(order.items)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [ShardOrder(sizes, Key(1)).at(i) for i in reversed(range(900))] == [
        order.at(i) for i in reversed(range(900))
    ]


def test_neighbours_come_from_few_shards_in_another_order():
    size = 40
    order = ShardOrder([size] * 100, Key(1))
    stretch = [order.at(i) for i in range(SHARDS_TOGETHER * size)]
    assert len({picture // size for picture in stretch}) == SHARDS_TOGETHER
    same = sum(a // size == b // size for a, b in itertools.pairwise(stretch))
    assert same < 0.25 * len(stretch)


def test_more_processes_than_shards_share_every_epoch_without_gap_or_repeat():
    processes, batch = 6, 12
    order = ShardOrder([40, 20], Key(1))
    steps = [mixed(order, weights=(1,), batch_size=batch).step(step) for step in range(order.items // batch)]
    of_rank = [{window.clip for step in steps for window in step[rank * 2 : rank * 2 + 2]} for rank in range(processes)]
    assert all(len(part) == order.items // processes for part in of_rank)
    assert set.union(*of_rank) == set(range(order.items))


def test_what_takes_the_place_of_a_window_is_a_function_of_its_number():
    some = plan(lengths=(8,) * 40)
    window = some.step(7)[1]
    again = [plan(lengths=(8,) * 40).instead(window, attempt) for attempt in range(3)]
    assert [some.instead(window, attempt) for attempt in range(3)] == again
    assert len({w.clip for w in again}) > 1
    assert {(w.number, w.source, w.background) for w in again} == {(window.number, 0, window.background)}
