"""Our safetensors files are the package's, byte for byte, with their hash."""

import hashlib
import resource
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from idol_model.tensor_file import write_tensors


def mixed() -> dict[str, torch.Tensor]:
    return {
        "z/half": torch.arange(7, dtype=torch.bfloat16),
        "b": torch.randn(3, 5),
        "a ü": torch.randn(4, 3).T,
        "step": torch.tensor(12),
        "codes": torch.arange(5, dtype=torch.uint8),
        "wide": torch.randn(2, dtype=torch.float64),
        "none": torch.zeros(0, 4),
        "on": torch.tensor([True, False]),
        "small": torch.tensor(3, dtype=torch.int32),
    }


def test_the_bytes_are_the_packages_and_the_hash_is_theirs(tmp_path: Path) -> None:
    tensors = mixed()
    said = write_tensors(tmp_path / "ours", tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "theirs")
    ours = (tmp_path / "ours").read_bytes()
    assert ours == (tmp_path / "theirs").read_bytes()
    assert said == hashlib.sha256(ours).hexdigest()
    read = load_file(tmp_path / "ours")
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_a_number_that_the_format_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dtype of wave \(torch.complex64\)"):
        write_tensors(tmp_path / "x", {"wave": torch.zeros(2, dtype=torch.complex64)})
    assert not (tmp_path / "x").exists()


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"big\.safetensors"):
            write_tensors(tmp_path / "big.safetensors", {"a": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
