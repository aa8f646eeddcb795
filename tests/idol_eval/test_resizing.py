"""Ways to a network's size, against the libraries that define them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from torch.nn import functional as F

from idol_eval.features import resize


@pytest.mark.parametrize("size", [112, 224, 299])
def test_bicubic_is_pils_on_float_channels(size: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    channels = [Image.fromarray(frame[0, ..., c].astype(np.float32)) for c in range(3)]
    expected = np.stack([np.asarray(one.resize((size, size), Image.Resampling.BICUBIC)) for one in channels])
    found = resize.bicubic_antialias(frame, size)[0].numpy()
    assert np.abs(found - expected).max() < 1e-2
    if size == 112:
        aliased = F.interpolate(torch.from_numpy(frame).movedim(-1, 1).float(), size=size, mode="bicubic")
        assert np.abs(aliased[0].numpy() - found).mean() > 1
        assert found.min() < 0 or found.max() > 255 or np.ptp(found) < 255  # overshoot is not clipped


def test_clipped_bicubic_has_no_overshoot() -> None:
    frame = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (1, 40, 40, 3))
    kept, clipped = resize.bicubic_antialias(frame, 64), resize.bicubic_clipped(frame, 64)
    assert kept.min() < 0
    assert_allclose(clipped, kept.clamp(0, 255))


def test_crop_after_scaling_the_shorter_side() -> None:
    frame = np.zeros((1, 8, 16, 3), np.uint8)
    frame[:, :, 4:12] = 200
    assert_allclose(resize.bilinear_crop(frame, 8), 200)
    assert_allclose(resize.bilinear_crop(frame.transpose(0, 2, 1, 3), 8), 200)
    assert resize.bilinear_crop(frame, 5).shape == (1, 3, 5, 5)


def test_corner_bilinear_reads_at_multiples_of_the_scale() -> None:
    ramp = np.tile(np.arange(0, 80, 10, dtype=np.uint8)[None, None, :, None], (1, 8, 1, 3))
    assert_allclose(resize.bilinear_corner(ramp, 16)[0, 0, 0, :15], np.arange(15) * 5.0)
    assert_allclose(resize.bilinear_corner(ramp, 16)[0, 0, 0, 15], 70)


def test_bilinear_is_without_antialiasing() -> None:
    frame = np.zeros((1, 4, 4, 3), np.uint8)
    frame[:, ::2] = 255
    assert_allclose(resize.bilinear(frame, 2)[0, 0], [[127.5, 127.5], [127.5, 127.5]])
    assert_allclose(resize.bilinear(np.full((1, 5, 7, 3), 9, np.uint8), 299), 9, rtol=1e-6)
