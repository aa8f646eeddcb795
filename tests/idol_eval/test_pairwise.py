"""Depth, PSNR, SSIM, silhouette and change: closed forms, and scikit-image where it has the same number."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from idol_eval import depth_metrics, frame_change, psnr, silhouette_iou, ssim
from idol_eval.depth import fit_scale_shift
from idol_eval.silhouette import threshold
from idol_eval.temporal import change_ratio


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_constant_offset(rng: np.random.Generator) -> None:
    target = rng.uniform(0, 0.9, (3, 8, 9))
    found = depth_metrics(target + 0.1, target)
    assert found["mse"] == pytest.approx(0.01, rel=1e-12)
    assert found["rmse"] == pytest.approx(0.1, rel=1e-12)
    assert found["mae"] == pytest.approx(0.1, rel=1e-12)
    assert found["aligned_mse"] == pytest.approx(0, abs=1e-20)
    assert not any(name.startswith("fg_") for name in found)


def test_foreground_is_measured_alone(rng: np.random.Generator) -> None:
    target, mask = rng.uniform(size=(2, 4, 6)), np.zeros((2, 4, 6), np.uint8)
    mask[0, 1, 2], mask[1, 3, 3] = 1, 2
    pred = target.copy()
    pred[mask > 0] -= 0.2
    found = depth_metrics(pred, target, mask)
    assert found["fg_mse"] == pytest.approx(0.04)
    assert found["fg_rmse"] == pytest.approx(0.2)
    assert found["fg_mae"] == pytest.approx(0.2)
    assert found["mse"] == pytest.approx(0.04 * 2 / 48)


def test_identical_depth_has_no_error(rng: np.random.Generator) -> None:
    depth = rng.uniform(size=(2, 5, 5)).astype(np.float32)
    found = depth_metrics(depth, depth, np.ones_like(depth))
    assert found.pop("fg_delta1") == 1
    assert list(found.values()) == pytest.approx([0] * 9, abs=1e-15)


def test_relative_errors_are_marigolds_on_depth_plus_one(rng: np.random.Generator) -> None:
    """Written down again, with NumPy's own least squares."""
    pred, target, mask = rng.uniform(size=(3, 2, 6, 6))
    inside = mask > 0.4
    x, y = pred[inside], target[inside]
    scale, shift = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)[0]
    aligned, true = scale * x + shift + 1, y + 1
    found = depth_metrics(pred, target, inside)
    assert found["fg_absrel"] == pytest.approx(np.mean(np.abs(aligned - true) / true), rel=1e-10)
    assert found["fg_delta1"] == np.mean(np.maximum(aligned / true, true / aligned) < 1.25)
    assert found["fg_aligned_mse"] == pytest.approx(np.mean((aligned - true) ** 2), rel=1e-10)


def test_fit_is_least_squares(rng: np.random.Generator) -> None:
    x, y, w = rng.uniform(size=40), rng.uniform(size=40), rng.uniform(0.1, 1, 40)
    design = np.stack([x, np.ones_like(x)], axis=1)
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    assert_allclose(fit_scale_shift(x, y), expected, rtol=1e-10)
    root = np.sqrt(w)
    expected = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    assert_allclose(fit_scale_shift(x, y, w), expected, rtol=1e-10)


def test_aligned_error_ignores_scale_and_shift(rng: np.random.Generator) -> None:
    pred, target = rng.uniform(size=(2, 2, 6, 6))
    one, two = (depth_metrics(x, target)["aligned_mse"] for x in (pred, 0.3 * pred + 0.4))
    assert one == pytest.approx(two, rel=1e-10)
    assert depth_metrics(np.full_like(target, 0.2), target)["aligned_mse"] == pytest.approx(target.var(), rel=1e-10)


@pytest.mark.parametrize(
    ("pred", "target", "mask", "said"),
    [
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), None, "equal shapes"),
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), "mask is empty"),
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.zeros((2, 2, 2)), "the mask is"),
        (np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2)), None, "pred holds NaN"),
        (np.zeros((1, 2, 2)), np.full((1, 2, 2), 200), None, "target runs from 200 to 200"),
        (np.zeros((0, 2, 2)), np.zeros((0, 2, 2)), None, "empty"),
    ],
)
def test_depth_refusals(pred: np.ndarray, target: np.ndarray, mask: np.ndarray | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        depth_metrics(pred, target, mask)


def test_psnr_is_that_of_the_whole_clip(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 256, (2, 3, 16, 17, 3), dtype=np.uint8)
    assert_allclose(psnr(a, b), peak_signal_noise_ratio(b, a, data_range=255), rtol=1e-12)
    assert psnr(a, a) == np.inf
    assert psnr(np.zeros_like(a), np.full_like(a, 255)) == pytest.approx(0)


def test_ssim_equals_scikit_image(rng: np.random.Generator) -> None:
    a = rng.integers(0, 256, (2, 24, 31, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-40, 40, a.shape), 0, 255).astype(np.uint8)
    grey = [np.rint(x @ np.array([0.299, 0.587, 0.114])) for x in (a, b)]
    expected = [structural_similarity(x, y, data_range=255) for x, y in zip(*grey, strict=True)]
    assert_allclose(ssim(b, a), np.mean(expected), rtol=1e-10)
    assert ssim(a, a) == pytest.approx(1)


def test_pictures_refuse(rng: np.random.Generator) -> None:
    frames = rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="uint8"):
        psnr(frames / 255, frames)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="equal sizes"):
        ssim(frames, frames[:, :7])
    with pytest.raises(ValueError, match="smaller than its window"):
        ssim(frames[:, :5], frames[:, :5])


def test_silhouette() -> None:
    mask = np.zeros((2, 4, 4), np.uint8)
    mask[:, 1:3, 1:3] = 1
    depth = np.where(mask > 0, 0.75, 1.0)
    assert silhouette_iou(depth, mask) == 1
    depth[1, 1, 1:3] = 1  # half of one frame's person is gone
    assert silhouette_iou(depth, mask) == pytest.approx(0.75)
    assert silhouette_iou(np.ones((2, 4, 4)), mask) == 0
    assert silhouette_iou(np.ones((2, 4, 4)), np.zeros_like(mask)) == 1
    assert silhouette_iou(np.zeros((2, 4, 4)), np.zeros_like(mask)) == 0
    assert threshold(0.75, 1.0) == 0.875
    with pytest.raises(ValueError, match="equal shapes"):
        silhouette_iou(depth, mask[:1])


def test_change() -> None:
    ramp = np.arange(5, dtype=np.uint8)[:, None, None] * np.array([[2, 0]], np.uint8)
    assert frame_change(ramp) == 1  # half the pixels change by 2, and uint8 does not wrap
    assert frame_change(ramp[::-1]) == 1
    assert change_ratio(0.5, 1.0) == 0.5
    assert change_ratio(0.5, 0.0) is None
    with pytest.raises(ValueError, match="at least 2 frames"):
        frame_change(ramp[:1])
