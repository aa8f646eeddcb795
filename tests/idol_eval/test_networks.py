"""The three networks: published shapes and names, and independent definitions with the same random weights."""

import hashlib

import pytest
import torch
from meta_device import on_meta
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F
from torchvision.models import inception

from idol_eval.features import random_weights
from idol_eval.features.i3d import I3D, Unit, max_pool_same
from idol_eval.features.inception import FidInception
from idol_eval.features.resnet3d import ResNet3d50


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
