"""Extractors: features that depend on the clip alone, in the range and order that networks expect."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from idol_eval import features
from idol_eval.features import random_weights, weights
from idol_eval.features.extractor import Extractor, ExtractorSpec, Precision
from idol_eval.features.first_layer import SharedFirstLayer
from idol_eval.features.folding import fold_normalisations
from idol_eval.features.i3d import I3D
from idol_eval.features.resnet3d import ResNet3d50


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """Nine smooth coloured frames, uint8 [9, 40, 48, 3]."""
    t, y, x = np.meshgrid(np.arange(9), np.arange(40), np.arange(48), indexing="ij")
    waves = [np.sin(x / 5 + t / 2), np.cos(y / 7 - t / 3), np.sin((x + y) / 9 + t)]
    return np.rint((np.stack(waves, axis=-1) + 1) * 127.5).astype(np.uint8)


@pytest.mark.parametrize("name", ["inception-fid", "i3d-1x7x7", "resnet3d-50"])
def test_features_do_not_depend_on_the_batch(name: str, clip: np.ndarray) -> None:
    extractor = features.load(name, seed=5)
    if extractor.spec.takes == "frames":
        whole, alone = extractor.frames(clip[:3]), extractor.frames(clip[2:3])[0]
    else:
        whole, alone = extractor.snippets(clip, [0, 1], 8), extractor.snippets(clip, [1], 8)[0]
    assert whole.shape[1] == extractor.spec.dimensions
    assert_allclose(whole[-1], alone, rtol=0, atol=1e-6 * np.abs(whole).max())
    assert np.abs(whole[0] - whole[-1]).max() > 1e-3 * np.abs(whole).max()
    assert extractor.describe()["weights"] == "random-seed-5"
    assert not extractor.describe()["comparable"]


@pytest.mark.parametrize("length", [8, 9, 16])
@pytest.mark.parametrize("network", [I3D, ResNet3d50])
def test_the_first_layer_shared_by_snippets_is_the_first_layer(network: type, length: int) -> None:
    with torch.device("meta"):
        own = network()
    random_weights.fill(own, 6).double()
    frames = torch.linspace(0, 90, 3 * (length + 2) * 30 * 31, dtype=torch.float64).reshape(length + 2, 3, 30, 31).sin()
    with torch.inference_mode():
        shared = SharedFirstLayer(own, length, 30)
        taps = [shared.of_frame(frame[..., :30]) for frame in frames]
        for start in (0, 2):
            snippet = frames[start : start + length, ..., :30].movedim(1, 0)
            padded = own.first_padding(snippet.shape[1:]).apply(snippet[None])
            expected = F.conv3d(padded, own.first.weight, own.first.bias, own.first.stride)[0]
            assert shared.outputs == expected.shape[1]
            found = shared.of_snippet(taps[start : start + length])
            assert_allclose(found, expected, rtol=0, atol=1e-13 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["i3d-1x7x7", "resnet3d-50"])
def test_overlapping_snippets_have_the_features_of_each(name: str, clip: np.ndarray) -> None:
    """Sharing work between neighbours may not make a snippet depend on them."""
    extractor = features.load(name, seed=5)
    long, starts = np.concatenate([clip, clip[::-1, ::-1]])[:11], range(4)
    assert extractor.shares(starts, 8)
    assert not extractor.shares([0, 16], 8)
    shared = extractor.snippets(long, starts, 8)
    alone = extractor.features(extractor.snippet_inputs(long, starts, 8))
    assert_allclose(shared, alone, rtol=0, atol=1e-6 * np.abs(alone).max())


def test_folded_normalisations_change_nothing() -> None:
    network = nn.Sequential(nn.Conv3d(3, 5, 1, bias=False), nn.BatchNorm3d(5), nn.ReLU(), nn.BatchNorm3d(5)).eval()
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.1, 2)
    x = torch.rand(2, 3, 2, 4, 4)
    with torch.inference_mode():
        expected = network(x)
        folded = fold_normalisations(network)
        assert_allclose(folded(x), expected, rtol=1e-5, atol=1e-6)
    assert [type(part).__name__ for part in folded] == ["Conv3d", "Identity", "ReLU", "BatchNorm3d"]


@pytest.mark.parametrize("name", ["inception-fid", "i3d-1x7x7", "resnet3d-50"])
def test_extractors_fold_every_normalisation(name: str) -> None:
    network = features.load(name)._network
    assert not any(isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d) for part in network.modules())


def test_bfloat16_states_its_error(clip: np.ndarray) -> None:
    exact = stub("frames", 1).frames(clip)
    fast = stub("frames", 1, precision="bfloat16")
    assert fast.precision_error is None
    assert_allclose(fast.frames(clip), exact, rtol=0.02)
    assert fast.precision_error is not None
    assert 0 < fast.precision_error < 0.02
    assert fast.describe()["precision"] == "bfloat16"


def test_ranges_that_networks_see() -> None:
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    for name in ("inception-fid", "i3d-1x7x7"):
        prepare = features.EXTRACTORS[name].prepare
        assert_allclose(prepare(black), -1)
        assert_allclose(prepare(white), 1, rtol=1e-6)
    mean = torch.tensor(features.ACTIVITYNET_MEAN).view(1, 3, 1, 1)
    assert_allclose(features.EXTRACTORS["resnet3d-50"].prepare(white), (255 - mean).expand(1, 3, 112, 112), rtol=1e-6)


class Means(nn.Module):
    """A stub network: the mean of what it is given, per frame."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(1, 3, 4)) if x.ndim == 5 else x.mean(dim=(1, 2, 3))[:, None]


def stub(takes: str, dimensions: int, batch: int = 3, precision: Precision = "float32") -> Extractor:
    spec = ExtractorSpec(
        name="means",
        takes=takes,  # type: ignore[arg-type]
        build=Means,
        side=2,
        resize="bilinear",  # to the side that the frames have: nothing changes
        scale=lambda x: x,
        values="0..255",
        dimensions=dimensions,
        layer="mean",
        batch=batch,
    )
    return Extractor(spec, Means(), weights.Weights(label="none"), "cpu", precision)


def test_snippets_are_the_frames_they_should_be() -> None:
    frames = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    starts = list(range(0, 193, 3))
    found = stub("snippets", 8).snippets(frames, starts, 8)
    assert_allclose(found, [[start + step for step in range(8)] for start in starts])
    assert_allclose(stub("frames", 1).frames(frames)[:, 0], np.arange(200))
    assert stub("snippets", 8).snippets(frames, [], 8).shape == (0, 8)


def test_features_come_in_full_batches_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, sizes = stub("frames", 1, batch=3), []
    plain = extractor.run
    monkeypatch.setattr(extractor, "run", lambda inputs: sizes.append(len(inputs)) or plain(inputs))
    frames = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    assert_allclose(extractor.frames(frames)[:, 0], np.arange(8))
    assert sizes == [3, 3, 2]
