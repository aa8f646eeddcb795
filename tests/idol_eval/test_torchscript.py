"""A TorchScript I3D with other names becomes ours, proven by its logits."""

import warnings
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from idol_eval.features import load, random_weights
from idol_eval.features.i3d import I3D, Unit
from idol_eval.features.torchscript import convert
from idol_eval.features.weights import WeightsError


class Renamed(nn.Module):
    """The network under names of another author."""

    def __init__(self, network: I3D) -> None:
        super().__init__()
        self.backbone = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x)


def scripted(file: Path, network: nn.Module, shape: tuple[int, ...]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network.eval(), torch.zeros(shape), check_trace=False).save(str(file))
    return file


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.device("meta"):
        network = I3D((2, 7, 7))
    random_weights.fill(network, 3)
    for part in network.modules():
        if isinstance(part, Unit) and part.bn is not None and part.bn.running_mean is not None:
            part.bn.running_mean.uniform_(-0.1, 0.1)
    home = tmp_path_factory.mktemp("script")
    return scripted(home / "i3d.pt", Renamed(network), (1, 3, 16, 224, 224))


def test_conversion_is_proven_by_the_logits(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "i3d.safetensors"
    with pytest.raises(WeightsError, match=r"is not the published i3d_torchscript\.pt \(sha256:.*--trust"):
        convert(file, target)
    found = convert(file, target, trust=True)
    assert found.difference < 1e-5
    assert found.tensors == 344
    with safe_open(target, "pt") as written:
        assert written.metadata()["source"].startswith("sha256:")
    assert load("i3d-1x7x7", target).weights.label.startswith("sha256:")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="is no TorchScript file"):
        convert(tmp_path / "no.pt", tmp_path / "x.safetensors", trust=True)
    other = scripted(tmp_path / "other.pt", nn.Conv3d(3, 4, 1), (1, 3, 2, 2, 2))
    with pytest.raises(WeightsError, match=r"is no I3D of 400 classes: weight is \(4, 3, 1, 1, 1\)"):
        convert(other, tmp_path / "x.safetensors", trust=True)
    with pytest.raises(WeightsError, match=r"ends in \.safetensors"):
        convert(other, tmp_path / "x.pt", trust=True)
    with pytest.raises(FileNotFoundError, match="no such weight file"):
        convert(tmp_path / "absent.pt", tmp_path / "x.safetensors")
