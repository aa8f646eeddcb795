"""Depth to colour and back."""

import numpy as np
import pytest

from idol_prep import colormap


@pytest.mark.parametrize("name", colormap.NAMES)
def test_the_table_is_inverted_exactly(name: colormap.ColormapName):
    values, residual = colormap.decode(colormap.table(name), name)
    np.testing.assert_array_equal(np.rint(values * 255), np.arange(256))
    assert residual.max() == 0


@pytest.mark.parametrize("name", colormap.NAMES)
def test_there_and_back_costs_half_a_step(name: colormap.ColormapName):
    depth = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    values, residual = colormap.decode(colormap.encode(depth, name), name)
    assert values.dtype == residual.dtype == np.float32
    assert np.sqrt(np.mean((values - depth) ** 2)) < 0.0012
    assert np.abs(values - depth).max() <= 0.5 / 255 + 1e-6


def test_hot_is_the_published_map():
    matplotlib = pytest.importorskip("matplotlib")
    expected = matplotlib.colormaps["hot"](np.arange(256), bytes=True)[:, :3]
    np.testing.assert_array_equal(colormap.table("hot"), expected)


def test_hot_is_blue_only_above_three_quarters():
    """Why a person's depth is scaled to [0, 0.75]: a white background stays separable."""
    blue = colormap.encode(np.linspace(0, 0.745, 100), "hot")[..., 2]
    assert blue.max() == 0
    assert colormap.encode(np.array([1.0]))[0].tolist() == [255, 255, 255]


def test_residual_tells_a_colour_off_the_map():
    values, residual = colormap.decode(np.array([[0, 0, 255], [255, 0, 0]]), "hot")
    assert residual[0] > 0.5
    assert residual[1] < 0.01
    assert values.shape == (2,)


def test_floats_decode_as_integers_do():
    rgb = colormap.encode(np.linspace(0, 1, 300))
    np.testing.assert_array_equal(colormap.decode(rgb)[0], colormap.decode(rgb + 0.2)[0])


def test_decode_keeps_any_shape():
    assert colormap.decode(np.zeros((0, 3)))[0].shape == (0,)
    assert colormap.decode(np.zeros(3))[0].shape == ()
    assert colormap.decode(np.zeros((70_000, 3), np.uint8))[0].shape == (70_000,)


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [np.nan], [np.inf]])
def test_values_outside_are_refused(bad: list[float]):
    with pytest.raises(ValueError, match="normalise it first"):
        colormap.encode(np.array(bad))


def test_bad_colours_and_names_are_refused():
    with pytest.raises(ValueError, match="axis of 3"):
        colormap.decode(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="unknown colormap 'jet'"):
        colormap.encode(np.zeros(1), "jet")  # type: ignore[arg-type]
