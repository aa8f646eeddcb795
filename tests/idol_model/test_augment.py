"""Pictures of human attribute pre-training: what each kind hides, and that chance is the generator's alone."""

import numpy as np
import pytest

from idol_model.augment import AUGMENT, part_of_person, square_with_person, widened_hole
from idol_model.inputs import ClipInputs

SIDE = 64


def window() -> ClipInputs:
    """A red person of 16 x 32 in a blue room; every pixel of the room says where it is."""
    person = np.zeros((SIDE, SIDE), bool)
    person[16:48, 24:40] = True
    room = np.zeros((SIDE, SIDE, 3), np.uint8)
    room[..., 2] = 200
    room[..., 1] = np.arange(SIDE) * 3
    frame = np.where(person[..., None], np.uint8([250, 0, 0]), room)
    alpha = np.where(person, 255, 0).astype(np.uint8)[..., None]
    return ClipInputs(
        id="one",
        frames=frame[None],
        depth=np.where(person, 0.3, 1.0).astype(np.float32)[None],
        poses=frame[None],
        foreground=np.concatenate([frame * (alpha > 0), alpha], -1),
        background=np.concatenate([frame * (alpha == 0), 255 - alpha], -1),
    )


def drawn(kind: str, seed: int) -> ClipInputs:
    return AUGMENT[kind](window(), np.random.default_rng(seed))  # type: ignore[index]


def test_none_changes_nothing() -> None:
    given = window()
    assert AUGMENT["none"](given, np.random.default_rng(0)) is given


@pytest.mark.parametrize("kind", ["hap", "haop"])
def test_the_same_generator_gives_the_same_pictures_and_another_others(kind: str) -> None:
    first, again, other = drawn(kind, 1), drawn(kind, 1), drawn(kind, 2)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.foreground, again.foreground)
    assert not np.array_equal(first.frames, other.frames)


def test_hap_crops_target_person_and_background_alike() -> None:
    for seed in range(8):
        got = drawn("hap", seed)
        assert got.frames.shape == (1, SIDE, SIDE, 3)
        inside, outside = got.foreground[..., 3] > 200, got.background[..., 3] > 200
        red = got.frames[0, ..., 0] > 200
        assert (red & outside).sum() == 0
        assert (inside & ~red).sum() <= 0.02 * inside.sum()
        assert inside.sum() >= 0.5 * 16 * 32


def test_haop_hides_a_margin_around_the_person_and_a_part_of_the_person() -> None:
    parts = []
    for seed in range(8):
        hap, haop = drawn("hap", seed), drawn("haop", seed)
        assert np.array_equal(hap.frames, haop.frames)
        hidden = haop.background[..., 3] == 0
        assert hidden[hap.background[..., 3] < 255].all()
        assert hidden.sum() > (hap.background[..., 3] < 255).sum()
        parts.append(haop.foreground.shape[0] * haop.foreground.shape[1] / (hap.foreground[..., 3] > 0).sum())
    assert max(parts) <= 1.1
    assert min(parts) < 0.8


def test_the_hole_grows_by_a_sixteenth_of_the_side() -> None:
    rgba = np.full((SIDE, SIDE, 4), 255, np.uint8)
    rgba[30:34, 30:34, 3] = 0
    assert (widened_hole(rgba)[..., 3] == 0).sum() == (4 + 2 * 4) ** 2


def test_a_part_always_shows_somebody() -> None:
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[10, 10] = rgba[50, 50] = 255
    for seed in range(20):
        assert part_of_person(rgba, np.random.default_rng(seed))[..., 3].any()


def test_a_square_always_shows_somebody() -> None:
    """Also of two people with a gap of more than a square between them, whose middle shows neither."""
    pair = np.zeros((20, 100), bool)
    pair[5:15, 4:10] = pair[5:15, 90:93] = True
    lefts = []
    for seed in range(40):
        top, left, side = square_with_person(pair, np.random.default_rng(seed))
        assert (top, side) == (0, 20)
        assert pair[:, left : left + side].any()
        lefts.append(left)
    assert 0.1 < np.mean(np.array(lefts) > 50) < 0.6  # a third of the pixels stands on the right
    assert lefts[3] == square_with_person(pair, np.random.default_rng(3))[1]
    nobody = square_with_person(pair & False, np.random.default_rng(0))
    assert nobody[2] == 20


def test_nobody_has_no_part_and_no_error() -> None:
    nobody = np.zeros((SIDE, SIDE, 4), np.uint8)
    assert part_of_person(nobody, np.random.default_rng(0)) is nobody
