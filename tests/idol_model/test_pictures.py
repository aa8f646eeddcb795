"""Crop, resize and mask: removed pixels are 0 after normalisation, and nothing of what was removed leaks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from idol_model import pictures

LOOK = SimpleNamespace(input_size=8, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def person(height=40, width=30, box=(10, 30, 12, 20)) -> np.ndarray:
    """A red person on a green ground, cut out."""
    frame = np.full((height, width, 3), (0, 255, 0), np.uint8)
    keep = np.zeros((height, width), bool)
    top, bottom, left, right = box
    keep[top:bottom, left:right] = True
    frame[keep] = (255, 0, 0)
    return pictures.with_alpha(frame, keep)


def test_removed_pixels_are_zero_in_the_tensor_and_not_black():
    rgba = pictures.with_alpha(np.full((8, 8, 3), 200, np.uint8), np.arange(64).reshape(8, 8) >= 32)
    background = pictures.background_tensor(rgba)
    assert torch.all(background[:, :4] == 0)
    assert torch.allclose(background[:, 4:], torch.tensor(200 / 255 * 2 - 1))
    foreground = pictures.foreground_tensor(rgba, LOOK)
    assert torch.all(foreground[:, :4] == 0)
    assert torch.allclose(foreground[:, 5, 5], (200 / 255 - torch.tensor(LOOK.mean)) / torch.tensor(LOOK.std))


def test_what_was_removed_cannot_be_read_from_what_is_left():
    crop = pictures.crop_foreground(person(), 8)
    seen = crop[crop[..., 3] > 0][:, :3]
    assert np.abs(seen.astype(int) - (255, 0, 0)).max() <= 2


def test_the_crop_holds_the_whole_person_squared():
    crop = pictures.crop_foreground(person(), 100)
    ys, xs = np.nonzero(crop[..., 3] > 127)
    assert np.ptp(ys) + 1 == pytest.approx(91, abs=2)
    assert (np.ptp(ys) + 1) / (np.ptp(xs) + 1) == pytest.approx(20 / 8, rel=0.06)
    assert (ys.min() + ys.max()) / 2 == pytest.approx(49.5, abs=1.5)


def test_a_person_at_the_edge_is_padded_with_nothing():
    crop = pictures.crop_foreground(person(box=(0, 20, 0, 8)), 100)
    assert (crop[:, :25, 3] == 0).all()
    assert (crop[50, 40:60, 3] == 255).all()


def test_an_empty_foreground_is_refused():
    with pytest.raises(ValueError, match="nobody is on it"):
        pictures.crop_foreground(np.zeros((8, 8, 4), np.uint8), 8)


@pytest.mark.parametrize(("height", "width"), [(20, 12), (12, 20), (12, 12)])
def test_every_track_has_the_same_centre_square(height, width):
    top, left, side = pictures.centre_square(height, width)
    stack = np.random.default_rng(0).integers(0, 255, (2, height, width, 3), dtype=np.uint8)
    expected = stack[:, top : top + side, left : left + side]
    assert np.array_equal(pictures.resize_pictures(stack, side), expected)
    assert np.array_equal(pictures.resize_values(stack[..., 0].astype(np.float32), side), expected[..., 0])
    assert np.array_equal(pictures.resize_background(stack[0], side)[..., :3], expected[0])


def test_resizing_depth_invents_no_value():
    values = np.random.default_rng(0).choice(np.array([0.1, 0.5, 1.0], np.float32), (2, 30, 30))
    assert set(np.unique(pictures.resize_values(values, 13))) <= set(np.unique(values))


def test_resizing_pictures_is_antialiased():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(pictures.resize_pictures(stripes, 16)[0, 4:-4].astype(int) - 127).max() < 20
