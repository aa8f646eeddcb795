"""Extractors: published shapes and names, independent definitions with the same random weights, resizing, weights."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.models import inception

from idol_eval import features
from idol_eval.features import random_weights, resize, weights
from idol_eval.features.extractor import Extractor, ExtractorSpec, Precision
from idol_eval.features.first_layer import SharedFirstLayer
from idol_eval.features.folding import fold_normalisations
from idol_eval.features.i3d import I3D, Unit, max_pool_same
from idol_eval.features.inception import FidInception
from idol_eval.features.resnet3d import ResNet3d50


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """Nine smooth coloured frames, uint8 [9, 40, 48, 3]."""
    t, y, x = np.meshgrid(np.arange(9), np.arange(40), np.arange(48), indexing="ij")
    waves = [np.sin(x / 5 + t / 2), np.cos(y / 7 - t / 3), np.sin((x + y) / 9 + t)]
    return np.rint((np.stack(waves, axis=-1) + 1) * 127.5).astype(np.uint8)


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def size_of(network: nn.Module) -> tuple[int, int]:
    return sum(parameter.numel() for parameter in network.parameters()), len(network.state_dict())


def test_published_sizes() -> None:
    assert size_of(on_meta(I3D)) == (12_697_264, 344)
    assert size_of(on_meta(ResNet3d50)) == (47_018_576, 320)


def test_published_names() -> None:
    i3d, resnet = on_meta(I3D).state_dict(), on_meta(ResNet3d50).state_dict()
    assert {
        "Conv3d_1a_7x7.conv3d.weight",
        "Conv3d_2c_3x3.bn.running_var",
        "Mixed_3b.b1b.conv3d.weight",
        "Mixed_5c.b3b.bn.bias",
        "logits.conv3d.bias",
    } <= i3d.keys()
    assert {"conv1.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.running_mean", "fc.bias"} <= resnet.keys()
    assert not any(name.startswith("layer1.1.downsample") for name in resnet)
    assert (names_hash(i3d), names_hash(resnet)) == ("97cd133f75d479bd", "efc1424d47680fd7")
    assert i3d["logits.conv3d.weight"].shape == (400, 1024, 1, 1, 1)


def names_hash(state: dict[str, torch.Tensor]) -> str:
    """Of all names and shapes."""
    text = "\n".join(sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_inception_has_torchvisions_names_and_shapes() -> None:
    theirs = on_meta(lambda: inception.Inception3(num_classes=1008, aux_logits=False, init_weights=False))
    mine = on_meta(FidInception)
    assert {name: tensor.shape for name, tensor in mine.state_dict().items()} == {
        name: tensor.shape for name, tensor in theirs.state_dict().items()
    }


def test_inception_equals_torchvisions_with_fids_two_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Average pooling without the padding everywhere, maximum in the last block."""
    mine = random_weights.fill(on_meta(FidInception), 3)
    theirs = inception.Inception3(num_classes=1008, aux_logits=False, init_weights=False).eval()
    theirs.load_state_dict(mine.state_dict())
    theirs.fc = nn.Identity()  # type: ignore[assignment]
    plain = F.avg_pool2d

    def pool(x: torch.Tensor, kernel_size: int, stride: int = 1, padding: int = 0) -> torch.Tensor:
        if x.shape[1] == 2048:
            return F.max_pool2d(x, kernel_size, stride, padding)
        return plain(x, kernel_size, stride, padding, count_include_pad=False)

    monkeypatch.setattr(inception.F, "avg_pool2d", pool)
    x = torch.linspace(-1, 1, 3 * 299 * 299).reshape(1, 3, 299, 299).sin()
    with torch.inference_mode():
        expected = theirs(x)
        monkeypatch.undo()
        assert_allclose(mine(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [7, 8, 13, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (3, 2), (2, 2), (1, 1)])
def test_same_padding(size: int, kernel: int, stride: int) -> None:
    """ceil(size / stride) outputs, the odd padding element behind: the rule of TensorFlow."""
    x = torch.rand(1, 1, size, size, size)
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    padded = F.pad(x, [total // 2, total - total // 2] * 3)
    unit = Unit(1, 1, (kernel,) * 3, (stride,) * 3, activation=False)
    expected = F.conv3d(padded, unit.conv3d.weight, unit.conv3d.bias, stride)
    with torch.inference_mode():
        assert_allclose(unit(x), expected.detach(), rtol=1e-5, atol=1e-6)
        assert_allclose(max_pool_same(x, (kernel,) * 3, (stride,) * 3), F.max_pool3d(padded, kernel, stride))


POOLS = {"Conv3d_2b_1x1": (1, 3, 1, 2), "Mixed_3b": (1, 3, 1, 2), "Mixed_4b": (3, 3, 2, 2), "Mixed_5b": (2, 2, 2, 2)}
STEM = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
MIXED = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")


class PlainI3D(nn.Module):
    """I3D written down a second time, from a flat dictionary of weights, without any of the module's code."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.state = state

    @staticmethod
    def pad(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
        sides: list[int] = []
        for size, k, s in list(zip(x.shape[2:], kernel, stride, strict=True))[::-1]:
            total = max((-(-size // s) - 1) * s + k - size, 0)
            sides += [total // 2, total - total // 2]
        return F.pad(x, sides)

    def unit(self, x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = self.state[f"{name}.conv3d.weight"]
        x = F.conv3d(self.pad(x, weight.shape[2:], (stride,) * 3), weight, stride=stride)
        bn = [self.state[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *bn, eps=0.001).relu()

    def pool(self, x: torch.Tensor, t: int, k: int, st: int, s: int) -> torch.Tensor:
        return F.max_pool3d(self.pad(x, (t, k, k), (st, s, s)), (t, k, k), (st, s, s))

    def forward(self, x: torch.Tensor, pool: tuple[int, int, int]) -> torch.Tensor:
        for name in (*STEM, *(f"Mixed_{stage}" for stage in MIXED)):
            if name in POOLS:
                x = self.pool(x, *POOLS[name])
            if name in STEM:
                x = self.unit(x, name, stride=2 if name == STEM[0] else 1)
                continue
            branches = [self.unit(x, f"{name}.b0")]
            branches += [self.unit(self.unit(x, f"{name}.{b}a"), f"{name}.{b}b") for b in ("b1", "b2")]
            x = torch.cat([*branches, self.unit(self.pool(x, 3, 3, 1, 1), f"{name}.b3b")], dim=1)
        x = F.avg_pool3d(x, pool, stride=1)
        x = F.conv3d(x, self.state["logits.conv3d.weight"], self.state["logits.conv3d.bias"])
        return x.squeeze(4).squeeze(3).mean(2)


@pytest.fixture(scope="module")
def i3d() -> I3D:
    network = random_weights.fill(on_meta(I3D), 1)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in network.named_buffers():  # normalisations that do something
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    assert isinstance(network, I3D)
    return network


@pytest.mark.parametrize(("frames", "pool"), [(8, (1, 2, 2)), (9, (2, 2, 2))])
def test_i3d_equals_a_second_definition(i3d: I3D, frames: int, pool: tuple[int, int, int]) -> None:
    x = torch.linspace(0, 60, 3 * frames * 56 * 60).reshape(1, 3, frames, 56, 60).sin()  # uneven padding too
    i3d.pool = pool
    with torch.inference_mode():
        found, expected = i3d(x), PlainI3D(dict(i3d.state_dict()))(x, pool)
    i3d.pool = (1, 7, 7)
    assert found.shape == (1, 400)
    assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_the_two_poolings_agree_at_sixteen_frames_alone(i3d: I3D) -> None:
    """Shown on the tail of the network, from T = 2 (16 frames) and T = 3 (24 frames)."""

    def tail(deep: torch.Tensor, pool: tuple[int, int, int]) -> torch.Tensor:
        return i3d.logits(F.avg_pool3d(deep, pool, stride=1)).mean(dim=(2, 3, 4))

    with torch.inference_mode():
        for depth, equal in ((2, True), (3, False)):
            deep = torch.rand(1, 1024, depth, 7, 7)
            close = torch.allclose(tail(deep, (1, 7, 7)), tail(deep, (2, 7, 7)), atol=1e-6)
            assert close is equal


def test_published_pooling_refuses_eight_frames() -> None:
    with pytest.raises(ValueError, match="9 frames or more; use the 1x7x7"):
        on_meta(lambda: I3D((2, 7, 7)))(torch.empty(1, 3, 8, 224, 224, device="meta"))


@pytest.mark.parametrize("frames", [8, 16])
def test_resnet3d_shapes(frames: int) -> None:
    assert on_meta(ResNet3d50)(torch.empty(2, 3, frames, 112, 112, device="meta")).shape == (2, 2048)


def test_resnet3d_equals_torchvisions_blocks() -> None:
    """torchvision has the same bottleneck for videos (kernel 3 x 3 x 3, stride in the middle)."""
    from torchvision.models.video import resnet as video

    mine = random_weights.fill(on_meta(ResNet3d50), 2)
    theirs = video.VideoResNet(
        block=video.Bottleneck,
        conv_makers=[video.Conv3DSimple] * 4,
        layers=[3, 4, 6, 3],
        stem=video.BasicStem,
    ).eval()
    names = dict(zip(_blocks(theirs.state_dict()), _blocks(mine.state_dict()), strict=True))
    state = {own: mine.state_dict()[other] for own, other in names.items()}
    theirs.load_state_dict(state | {k: v for k, v in theirs.state_dict().items() if k.startswith(("stem", "fc"))})
    x = torch.rand(1, 64, 2, 6, 6)
    with torch.inference_mode():
        assert isinstance(mine, ResNet3d50)
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            one, two = mine.get_submodule(stage)(x), theirs.get_submodule(stage)(x)
            assert_allclose(one, two, rtol=1e-5, atol=1e-5 * float(two.abs().max()))
            x = one


def plain_resnet3d(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The whole 3D ResNet-50 written down a second time, from a flat dictionary of weights."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.batch_norm(x, *(state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))

    x = norm(F.conv3d(x, state["conv1.weight"], stride=(1, 2, 2), padding=3), "bn1").relu()
    x = F.max_pool3d(x, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = norm(F.conv3d(x, state[f"{name}.conv1.weight"]), f"{name}.bn1").relu()
            y = norm(F.conv3d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1), f"{name}.bn2").relu()
            y = norm(F.conv3d(y, state[f"{name}.conv3.weight"]), f"{name}.bn3")
            if block == 0:
                x = F.conv3d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                x = norm(x, f"{name}.downsample.1")
            x = (x + y).relu()
    return F.adaptive_avg_pool3d(x, 1).flatten(1)


@pytest.mark.parametrize("frames", [8, 16])
def test_resnet3d_equals_a_second_definition(frames: int) -> None:
    mine = random_weights.fill(on_meta(ResNet3d50), 2)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in mine.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
    x = torch.linspace(0, 60, 3 * frames * 48 * 48).reshape(1, 3, frames, 48, 48).sin()
    with torch.inference_mode():
        expected = plain_resnet3d(mine.state_dict(), x)
        assert_allclose(mine(x), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def _blocks(state: dict[str, torch.Tensor]) -> list[str]:
    return [name for name in state if name.startswith("layer")]


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


def test_bilinear_is_without_antialiasing() -> None:
    frame = np.zeros((1, 4, 4, 3), np.uint8)
    frame[:, ::2] = 255
    assert_allclose(resize.bilinear(frame, 2)[0, 0], [[127.5, 127.5], [127.5, 127.5]])
    assert_allclose(resize.bilinear(np.full((1, 5, 7, 3), 9, np.uint8), 299), 9, rtol=1e-6)


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


def test_random_weights_are_pinned() -> None:
    """Every machine and version must give these, or scores of different machines could not be compared."""
    network = random_weights.fill(on_meta(lambda: nn.Conv2d(2, 2, 1)), 7)
    values = network.state_dict()["weight"].flatten()
    assert_allclose(values, [0.43308929, -0.55894595, -1.05728543, -0.60700165], rtol=1e-6)
    assert values.abs().max() <= np.sqrt(3)
    assert network.state_dict()["bias"].tolist() == [0, 0]
    assert not network.training
    other = random_weights.fill(on_meta(lambda: nn.Conv2d(2, 2, 1)), 8).state_dict()["weight"].flatten()
    assert not torch.equal(values, other)


def saved(tmp_path: Path, network: nn.Module, how: str) -> Path:
    state = OrderedDict(network.state_dict())
    file = tmp_path / f"weights.{'safetensors' if how == 'safetensors' else 'pt'}"
    if how == "safetensors":
        save_file(state, file)
    elif how == "wrapped":
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, file)
    else:
        torch.save(state, file)
    return file


@pytest.mark.parametrize("how", ["safetensors", "plain", "wrapped"])
def test_weight_files_load_strictly(tmp_path: Path, how: str) -> None:
    source = random_weights.fill(on_meta(lambda: Unit(3, 4, (1, 1, 1))), 1)
    target = on_meta(lambda: Unit(3, 4, (1, 1, 1)))
    found = weights.load(target, saved(tmp_path, source, how))
    assert found.label.startswith("sha256:")
    assert not found.comparable
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())


def test_old_files_without_batch_counters_load(tmp_path: Path) -> None:
    source = random_weights.fill(on_meta(lambda: Unit(3, 4, (1, 1, 1))), 1)
    state = {name: value for name, value in source.state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "old.pth")
    weights.load(on_meta(lambda: Unit(3, 4, (1, 1, 1))), tmp_path / "old.pth")


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, random_weights.fill(on_meta(lambda: Unit(3, 4, (1, 1, 1))), 1), "plain")
    with pytest.raises(weights.WeightsError, match="lacks logits"):
        weights.load(on_meta(lambda: nn.ModuleDict({"logits": nn.Linear(2, 2)})), file)
    with pytest.raises(weights.WeightsError, match="another shape of"):
        weights.load(on_meta(lambda: Unit(3, 5, (1, 1, 1))), file)
    with pytest.raises(weights.WeightsError, match="has unknown bn"):
        weights.load(on_meta(lambda: Unit(3, 4, (1, 1, 1), activation=False)), with_bias(tmp_path, file))
    with pytest.raises(FileNotFoundError, match="no such weight file"):
        features.load("i3d-1x7x7", tmp_path / "absent.pt")
    with pytest.raises(ValueError, match="unknown extractor"):
        features.load("vgg")
    with pytest.raises(ValueError, match="unknown resizing 'lanczos'; choose one of bicubic-antialias"):
        features.load("inception-fid", resize="lanczos")


def with_bias(tmp_path: Path, file: Path) -> Path:
    torch.save(torch.load(file, weights_only=True) | {"conv3d.bias": torch.zeros(4)}, tmp_path / "biased.pt")
    return tmp_path / "biased.pt"


class Evil:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple:
        return (print, ("executed",))


def test_pickles_with_code_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "noise.pt").write_bytes(b"nothing of the kind")
    for name in ("evil.pt", "noise.pt"):
        with pytest.raises(weights.WeightsError, match="not a plain file of tensors"):
            weights.load(on_meta(lambda: Unit(3, 4, (1, 1, 1))), tmp_path / name)
    assert "executed" not in capsys.readouterr().out


def test_identities(tmp_path: Path) -> None:
    """Git's blob id of "hello\\n" and its SHA-256 are well known."""
    file = tmp_path / "hello"
    file.write_bytes(b"hello\n")
    by_blob = weights.Published(file="hello", git_blob="ce013625030ba8dba906f756967f9e9ca394464a")
    by_hash = weights.Published(file="hello", sha256="5891b5b5", comparable=False)
    assert weights.identify(file, (by_blob,)).comparable
    assert weights.identify(file, (by_hash,)).label == "hello"
    assert not weights.identify(file, (by_hash,)).comparable
    assert weights.identify(file).label == "sha256:5891b5b522d5"


def test_features_come_in_full_batches_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, sizes = stub("frames", 1, batch=3), []
    plain = extractor.run
    monkeypatch.setattr(extractor, "run", lambda inputs: sizes.append(len(inputs)) or plain(inputs))
    frames = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    assert_allclose(extractor.frames(frames)[:, 0], np.arange(8))
    assert sizes == [3, 3, 2]
