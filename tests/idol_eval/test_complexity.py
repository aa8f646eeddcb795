"""FLOPs against fvcore and by hand, on the CPU and the meta device; parameters; time and memory."""

import time
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from idol_eval.complexity import count_flops, count_parameters, measure

LAYERS = {
    "conv2d": (lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 16, 17)),
    "conv3d": (lambda: nn.Conv3d(3, 8, 3, padding=1), (1, 3, 4, 6, 6)),
    "grouped": (lambda: nn.Conv2d(8, 8, 3, groups=4), (1, 8, 9, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 5, 5)),
    "conv1d": (lambda: nn.Conv1d(5, 7, 3, padding=1), (9, 5, 8)),
    "linear": (lambda: nn.Linear(128, 256), (64, 128)),
    "linear over tokens": (lambda: nn.Linear(16, 4), (2, 9, 16)),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("name", LAYERS)
def test_twice_fvcores_macs(name: str, device: str) -> None:
    build, shape = LAYERS[name]
    layer = build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        macs = FlopCountAnalysis(layer, torch.zeros(shape)).unsupported_ops_warnings(False).total()
    assert count_flops(layer.to(device), torch.zeros(shape, device=device)) == 2 * macs


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_fused_attention_counts(device: str) -> None:
    """Two products of 2 B H L^2 d each."""
    q = torch.zeros(2, 4, 64, 16, device=device)
    assert count_flops(F.scaled_dot_product_attention, q, q, q) == 4 * 2 * 4 * 64 * 64 * 16
    assert count_flops(torch.bmm, q[0], q[0].mT) == 2 * 4 * 64 * 64 * 16


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_multihead_attention_counts_in_evaluation_mode(device: str) -> None:
    """Four projections of 64 x 128 x 128 and the attention: 10,485,760. The fast path would hide them."""
    layer = nn.MultiheadAttention(128, 4, batch_first=True).eval().to(device)
    x = torch.zeros(1, 64, 128, device=device)
    assert count_flops(layer, x, x, x, need_weights=False) == 10_485_760
    assert torch.backends.mha.get_fastpath_enabled()


def test_parameters_by_part() -> None:
    one, two = nn.Linear(3, 4), nn.Linear(4, 2, bias=False)
    shared = nn.Sequential(one, two)
    assert count_parameters({"one": one, "both": shared}) == {"one": 16, "both": 8}


def test_measure() -> None:
    calls: list[int] = []
    kept: list[torch.Tensor] = []

    def work() -> None:
        calls.append(1)
        time.sleep(0.03)
        kept[:] = [torch.ones(20_000_000)]  # 76 MB, touched

    before = measure(lambda: None).peak_memory_mb
    found = measure(work, repeats=3, warmup=2)
    assert len(calls) == 5
    assert 0.03 <= found.seconds < 5
    assert found.spread >= 0
    assert found.peak_memory_mb > before + 60
    assert found.memory_kind == "process, resident"
    with pytest.raises(ValueError, match="at least"):
        measure(work, repeats=0)
