"""Seeded random weights for extractors: the same numbers on every machine and with every version of torch.

Features of a random network tell pictures apart, so they serve tests and comparisons within one run. Distances made of
them are not comparable with published ones, and every row says so.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

_RESIDUAL_GAIN = 0.5
"""Scale of the last normalisation of a residual branch, so that depth does not blow the features up."""


def fill(module: nn.Module, seed: int, input_range: float = 1.0) -> nn.Module:
    """Give ``module`` (on any device, meta too) random weights on the CPU; returns it in evaluation mode.

    Each weight is uniform with He's variance, drawn from the raw bits of a PCG64 stream of its own, which NumPy keeps
    stable; biases are 0, normalisations the identity. The first layer is divided by ``input_range``, so that networks
    which take 0..255 give features of the same order as those which take -1..1.
    """
    state = {name: _values(name, tensor, seed) for name, tensor in module.state_dict().items()}
    first = next(name for name, tensor in state.items() if tensor.ndim > 1)
    state[first] = state[first] / input_range
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def label(seed: int) -> str:
    """What a row says of such weights."""
    return f"random-seed-{seed}"


def _values(name: str, like: Tensor, seed: int) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if like.ndim > 1:
        return _uniform(name, like, seed)
    if name.endswith(("bias", "running_mean")):
        return torch.zeros(like.shape)
    if name.endswith("bn3.weight"):
        return torch.full(like.shape, _RESIDUAL_GAIN)
    return torch.ones(like.shape)


def _uniform(name: str, like: Tensor, seed: int) -> Tensor:
    bound = float(np.sqrt(6 / (like.numel() // like.shape[0])))
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    bits = np.random.PCG64(int.from_bytes(digest[:16], "little")).random_raw((like.numel() + 1) // 2)
    words = np.asarray(bits, dtype="<u8").view("<u4")[: like.numel()]
    values = (words.astype(np.float32) * np.float32(2**-31) - 1) * np.float32(bound)
    return torch.from_numpy(values.reshape(like.shape))
