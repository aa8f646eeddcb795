"""Alignment of video and depth, flow, warping, poses and LPIPS: known motions, shifts and peers."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from idol_eval.alignment import alignment, band_radius
from idol_eval.flow import flow, grey, warp
from idol_eval.pose import adherence
from idol_eval.temporal import depth_flicker, warp_errors
from idol_prep.pose import Keypoints

SIDE = 96


def texture(rng: np.random.Generator, side: int) -> np.ndarray:
    """Smooth random levels [side, side] in 0..1."""
    coarse = torch.from_numpy(rng.uniform(size=(1, 1, side // 6, side // 6)))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")[0, 0].clamp(0, 1).numpy()


def walker(seed: int, frames: int = 6) -> dict[str, np.ndarray]:
    """A textured ellipse that walks over a textured wall: video, depth, mask."""
    rng = np.random.default_rng(seed)
    wall, cloth = texture(rng, SIDE), texture(rng, SIDE)
    y, x = np.mgrid[:SIDE, :SIDE]
    step = rng.uniform(1.0, 2.5) * rng.choice([-1, 1])
    centres = SIDE / 2 + step * (np.arange(frames) - frames / 2)
    masks, videos, depths = [], [], []
    for centre in centres:
        inside = ((x - centre) / 16) ** 2 + ((y - SIDE / 2) / 30) ** 2 <= 1
        moved = np.roll(cloth, round(centre), axis=1)
        light = np.where(inside, 0.25 + 0.75 * moved, 0.5 * wall)
        masks.append(inside.astype(np.uint8))
        videos.append(np.repeat((255 * light)[..., None], 3, axis=-1).astype(np.uint8))
        depths.append(np.where(inside, 0.2 + 0.4 * np.hypot((x - centre) / 16, (y - SIDE / 2) / 30), 1.0))
    return {"video": np.stack(videos), "depth": np.stack(depths), "mask": np.stack(masks)}


def scores(clip: dict[str, np.ndarray], shift: int = 0) -> tuple[float, float, float]:
    found = alignment(clip["video"], np.roll(clip["depth"], shift, axis=2), clip["mask"], 0.875)
    assert None not in (found.outline, found.edges, found.motion)
    return found.outline, found.edges, found.motion  # type: ignore[return-value]


def test_a_depth_shifted_by_three_pixels_is_told_from_the_true_one_with_certainty() -> None:
    """On every one of twelve clips; the gap is many times the spread of the true ones' scores."""
    true = np.array([scores(walker(seed)) for seed in range(12)])
    moved = np.array([scores(walker(seed), shift) for seed in range(12) for shift in (-3, 3)])
    assert_allclose(true[:, 0], 1)
    for column in (0, 1):
        assert moved[:, column].max() < true[:, column].min()
        assert true[:, column].mean() - moved[:, column].mean() > 5 * moved[:, column].std()


def test_motion_agrees_with_the_true_depth_alone() -> None:
    for seed in range(6):
        clip = walker(seed)
        backwards = alignment(clip["video"], clip["depth"][::-1], clip["mask"], 0.875).motion
        held = alignment(clip["video"], np.repeat(clip["depth"][:1], 6, axis=0), clip["mask"], 0.875).motion
        assert scores(clip)[2] > 0.5
        assert backwards is not None
        assert backwards < -0.3
        assert held == 0


def test_alignment_falls_with_the_shift() -> None:
    means = [np.mean([scores(walker(seed), shift)[:2] for seed in range(4)], axis=0) for shift in (0, 1, 2)]
    assert (np.diff(np.array(means), axis=0) < -0.1).all()


def test_alignment_that_cannot_be_told() -> None:
    clip = walker(0, 2)
    still = alignment(clip["video"][[0, 0]], clip["depth"][[0, 0]], clip["mask"][[0, 0]], 0.875)
    assert still.motion is None
    assert alignment(clip["video"][:1], clip["depth"][:1], clip["mask"][:1], 0.875).motion is None
    blank = alignment(clip["video"], np.ones_like(clip["depth"]), np.zeros_like(clip["mask"]), 0.875)
    assert (blank.outline, blank.edges, blank.motion) == (None, None, None)
    with pytest.raises(ValueError, match="equal shapes"):
        alignment(clip["video"], clip["depth"][:1], clip["mask"], 0.875)
    with pytest.raises(ValueError, match="NaN"):
        alignment(clip["video"], np.full_like(clip["depth"], np.nan), clip["mask"], 0.875)
    assert band_radius(256, 256) == 7
    assert band_radius(24, 32) == 2


@pytest.mark.parametrize("motion", [(1.0, 0.0), (0.4, -0.7), (3.0, 2.0), (-5.0, 1.5)])
def test_flow_of_a_known_shift(motion: tuple[float, float]) -> None:
    """A band-limited picture, moved exactly in the frequency domain."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.fft2(texture(rng, SIDE))
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    spectrum *= np.hypot(fx, fy) < 0.15
    frames = [
        np.fft.ifft2(spectrum * np.exp(-2j * np.pi * step * (fx * motion[0] + fy * motion[1]))).real for step in (0, 1)
    ]
    found = flow(torch.from_numpy(np.stack(frames)).float())
    inner = found.uv[0, :, 16:-16, 16:-16]
    assert_allclose(inner.mean(dim=(1, 2)), motion, atol=0.05)
    assert (inner - torch.tensor(motion)[:, None, None]).abs().mean() < 0.1
    back = warp(torch.from_numpy(frames[1])[None, None].float(), found.uv)[0, 0, 16:-16, 16:-16]
    assert_allclose(back, frames[0][16:-16, 16:-16], atol=0.03)
    with pytest.raises(ValueError, match="2 frames"):
        flow(torch.zeros(1, 32, 32))


def test_grey_of_frames_and_of_depth() -> None:
    white = np.full((1, 2, 2, 3), 255, np.uint8)
    assert_allclose(grey(white), 1, rtol=1e-6)
    assert_allclose(grey(np.full((1, 2, 2), 0.25)), 0.25)


def test_warping_along_the_true_motion() -> None:
    """Moving as the truth does costs little, flickering costs what it flickers, a still video pays for not moving."""
    clip = walker(3)
    rng = np.random.default_rng(0)
    noise = np.clip(clip["video"].astype(int) + rng.integers(-40, 41, clip["video"].shape), 0, 255).astype(np.uint8)
    still = np.repeat(clip["video"][:1], len(clip["video"]), axis=0)
    true, noisy, held, depth = warp_errors(clip["video"], clip["video"], noise, still, clip["depth"])
    assert true < 0.3 * noisy
    assert true < held
    assert 0 < depth < 0.05


def test_flicker_is_where_the_truth_is_steady() -> None:
    truth = np.zeros((3, 2, 2))
    truth[:, 0, 0] = (0, 1, 0)  # moves: not looked at
    pred = truth.copy()
    pred[1] += 0.1
    assert depth_flicker(pred, truth) == pytest.approx(0.1)
    assert depth_flicker(truth, truth) == 0


def joints(xy: np.ndarray, score: float = 1.0) -> Keypoints:
    return Keypoints(xy=xy.astype(np.float32), score=np.full(xy.shape[:3], score, np.float32))


def test_pose_adherence_by_hand() -> None:
    """A box of 100 pixels: 4 pixels are within 0.05, 8 within 0.1, 20 in neither."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 100, (1, 1, 18, 2))
    xy[0, 0, :2] = (0, 0), (100, 100)
    found = xy.copy()
    found[0, 0, 2:5, 0] += (4, 8, 20)
    result = adherence(joints(found), joints(xy))
    assert result is not None
    assert (result.pck_05, result.pck_10, result.found) == (16 / 18, 17 / 18, 1)
    assert result.error == pytest.approx(0.32 / 18, rel=1e-5)
    lost = joints(found)
    lost.score[0, 0, 5:8] = 0
    fewer = adherence(lost, joints(xy))
    assert fewer is not None
    assert (fewer.pck_05, fewer.found) == (13 / 18, 15 / 18)
    assert adherence(joints(xy), joints(xy, 0.0)) is None
    gone = adherence(joints(xy, 0.0), joints(xy))
    assert gone is not None
    assert (gone.pck_10, gone.error) == (0, None)
    with pytest.raises(ValueError, match="1 frames against 2"):
        adherence(joints(xy), joints(np.concatenate([xy, xy])))


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips_equals_the_authors(backbone: str, tmp_path) -> None:
    """The shipped heads on a shared random classifier."""
    package = pytest.importorskip("lpips")
    from torchvision import models

    from idol_eval.features.lpips import Lpips

    classifier = {"alex": models.alexnet, "vgg": models.vgg16}[backbone]().eval()
    file = tmp_path / "classifier.pth"
    torch.save(classifier.state_dict(), file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = package.LPIPS(net=backbone, pnet_rand=True, verbose=False).eval()
    layers = [layer for layer in classifier.features if isinstance(layer, torch.nn.Conv2d)]
    own = [layer for layer in theirs.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for mine, other in zip(layers, own, strict=True):
        other.load_state_dict(mine.state_dict())
    a, b = np.random.default_rng(0).integers(0, 256, (2, 2, 64, 72, 3), dtype=np.uint8)
    x, y = (torch.from_numpy(frames).movedim(-1, 1) / 127.5 - 1 for frames in (a, b))
    with torch.inference_mode():
        expected = float(theirs(x, y).mean())
    found = Lpips.load(backbone, file)  # type: ignore[arg-type]
    assert found(a, b) == pytest.approx(expected, rel=1e-5)
    assert found(a, a) == 0
    assert not found.describe()["comparable"]
    with pytest.raises(ValueError, match="equal sizes"):
        found(a, b[:1])
