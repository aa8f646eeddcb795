"""Weight files: loaded strictly, named by hash, never executed; random weights that stay the same."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from meta_device import on_meta
from numpy.testing import assert_allclose
from safetensors.torch import save_file
from torch import nn

from idol_eval import features
from idol_eval.features import random_weights, weights
from idol_eval.features.i3d import Unit


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
