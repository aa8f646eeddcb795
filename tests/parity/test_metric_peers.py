"""Our numbers against those of the packages in use, on the same features or with the same random weights."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from torch import nn

from idol_eval import features
from idol_eval.features import random_weights
from idol_eval.features.i3d import I3D
from idol_eval.features.inception import FidInception
from idol_eval.frechet import Gaussian, frechet_between, frechet_distance


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Their deprecations are theirs to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decaying(rows: int, dimensions: int, seed: int, mean: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dimensions, dimensions)) * np.geomspace(1, 0.03, dimensions)
    return rng.normal(size=(rows, dimensions)) @ mixing / np.sqrt(dimensions) + mean


CASES = {"more rows than numbers": (400, 64), "fewer rows than numbers": (40, 64)}
ROOT_ERROR = {"more rows than numbers": 1e-7, "fewer rows than numbers": 1e-5}
"""What their matrix roots lose; at full rank and below it."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, float]:
    rows, dimensions = CASES[request.param]
    return decaying(rows, dimensions, 1), decaying(rows + 3, dimensions, 2, 0.2), ROOT_ERROR[request.param]


def test_pytorch_fids_distance(case: tuple[np.ndarray, np.ndarray, float]) -> None:
    score = pytest.importorskip("pytorch_fid.fid_score")
    a, b, error = case
    theirs = score.calculate_frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert_allclose(frechet_distance(a, b), theirs, rtol=error)


def test_torch_fidelitys_distance(case: tuple[np.ndarray, np.ndarray, float]) -> None:
    """They take the mean in float32."""
    metric = pytest.importorskip("torch_fidelity.metric_fid")
    a, b, error = case
    stats = [metric.fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    theirs = metric.fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert_allclose(frechet_distance(a, b), theirs, rtol=max(error, 1e-6))


class Passes(nn.Module):
    """Hands through what it is given; torchmetrics asks for the number of features on the way in."""

    num_features = 64

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_torchmetrics_distance(case: tuple[np.ndarray, np.ndarray, float]) -> None:
    """They sum raw moments in float64 and give float32."""
    image = pytest.importorskip("torchmetrics.image.fid")
    a, b, error = case
    metric = image.FrechetInceptionDistance(feature=Passes(), normalize=True).set_dtype(torch.float64)
    for features_nd, real in ((a, True), (b, False)):
        for part in np.array_split(features_nd, 3):
            metric.update(torch.from_numpy(part), real=real)
    assert_allclose(frechet_distance(a, b), float(metric.compute()), rtol=max(error, 1e-5))


def test_cd_fvds_distance_after_converting_the_covariance(case: tuple[np.ndarray, np.ndarray, float]) -> None:
    """They divide by n where we divide by n - 1."""
    statistics = pytest.importorskip("cdfvd.utils.metric_utils")
    import scipy.linalg

    a, b, error = case
    theirs, ours = [], []
    for x in (a, b):
        kept = statistics.FeatureStats(capture_mean_cov=True)
        kept.append(x)
        theirs.append(kept.get_mean_cov())
        ours.append(Gaussian.of_features(x.astype(np.float32)).biased())
    (m1, s1), (m2, s2) = theirs
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = np.sum((m1 - m2) ** 2) + np.trace(s1 + s2 - 2 * root)
    assert_allclose(frechet_between(*ours), expected, rtol=error)
    assert frechet_distance(a, b) != pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def inception() -> FidInception:
    with torch.device("meta"):
        network = FidInception()
    random_weights.fill(network, 4)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    return network


@pytest.fixture(scope="module")
def weight_file(inception: FidInception, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(inception.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def two_sets() -> list[np.ndarray]:
    """Four frames a side, uint8 [4, 96, 80, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 12, 10, 3), dtype=np.uint8)
    frames = [np.asarray(Image.fromarray(x).resize((80, 96), Image.Resampling.BICUBIC)) for x in coarse]
    return [np.stack(frames[:4]), np.stack(frames[4:])]


@pytest.mark.slow  # the peer's square root of a 2048 x 2048 matrix; torch-fidelity's whole path stays
def test_the_whole_path_of_pytorch_fid(
    tmp_path: Path,
    inception: FidInception,
    weight_file: Path,
    two_sets: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From PNG files to the number, with shared random weights."""
    pytest.importorskip("pytorch_fid.fid_score")
    from pytorch_fid import fid_score
    from pytorch_fid import inception as theirs

    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: inception.state_dict())
    network = theirs.InceptionV3([3])
    statistics = []
    for name, frames in zip("ab", two_sets, strict=True):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(tmp_path / name / f"{number}.png")
        with torch.inference_mode():
            statistics += fid_score.compute_statistics_of_path(str(tmp_path / name), network, 3, 2048, "cpu", 0)
    expected = fid_score.calculate_frechet_distance(*statistics)
    extractor = features.load("inception-fid", weight_file)
    found = frechet_distance(*(extractor.frames(frames) for frames in two_sets))
    assert_allclose(found, expected, rtol=1e-4)


def test_the_whole_path_of_torch_fidelity(
    inception: FidInception, weight_file: Path, two_sets: list[np.ndarray], tmp_path: Path
) -> None:
    """Their bilinear of TensorFlow 1 and its range, our extractor of that name."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    from torch_fidelity import metric_fid

    state = inception.state_dict() | {"fc.bias": torch.zeros(1008)}
    torch.save(state, tmp_path / "theirs.pth")
    theirs = module.FeatureExtractorInceptionV3("inception", ["2048"], str(tmp_path / "theirs.pth"))
    statistics = []
    with torch.inference_mode():
        for frames in two_sets:
            values = theirs(torch.from_numpy(frames).movedim(-1, 1).contiguous())[0]
            statistics.append(metric_fid.fid_features_to_statistics(values))
    expected = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    extractor = features.load("inception-fid-tf", weight_file)
    found = frechet_distance(*(extractor.frames(frames) for frames in two_sets))
    assert_allclose(found, expected, rtol=1e-4)
    plain = features.load("inception-fid", weight_file)
    assert frechet_distance(*(plain.frames(frames) for frames in two_sets)) != pytest.approx(expected, rel=1e-3)


@pytest.fixture(scope="module")
def their_i3d() -> nn.Module:
    """cd-fvd's class with our random weights. Its normalisations add 1e-5 to the variance; TensorFlow's graph, DisCo
    and we add 1e-3, set here: with theirs the logits differ by about 1 %."""
    package = pytest.importorskip("cdfvd.third_party.i3d.pytorch_i3d")
    with torch.device("meta"):
        ours = I3D((2, 7, 7))
    random_weights.fill(ours, 6)
    theirs = package.InceptionI3d(400, in_channels=3).eval()
    theirs.load_state_dict(ours.state_dict())
    assert {*theirs.state_dict()} == {*ours.state_dict()}
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm3d):
            assert part.eps == 1e-5
            part.eps = 1e-3
    return theirs


def test_i3d_equals_cd_fvds(their_i3d: nn.Module) -> None:
    """Sixteen frames as published; eight with their pool replaced, without which they refuse."""
    frames = np.random.default_rng(3).integers(0, 256, (16, 40, 40, 3), dtype=np.uint8)
    ours = {pool: features.load(f"i3d-{pool}", seed=6) for pool in ("1x7x7", "2x7x7")}
    x = ours["2x7x7"].spec.prepare(frames).transpose(0, 1)[None]
    with torch.inference_mode():
        expected = their_i3d(x).numpy()
        with pytest.raises(RuntimeError):
            their_i3d(x[:, :, :8])
    scale = np.abs(expected).max()
    for extractor in ours.values():  # equal at sixteen frames
        assert_allclose(extractor.snippets(frames, [0], 16), expected, atol=1e-5 * scale)
    with torch.inference_mode():
        their_i3d.avg_pool = nn.AvgPool3d((1, 7, 7), stride=1)
        short = their_i3d(x[:, :, :8]).numpy()
    found = ours["1x7x7"].snippets(frames, [0], 8)
    assert_allclose(found, short.reshape(found.shape), atol=1e-5 * np.abs(short).max())
