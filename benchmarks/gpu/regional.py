"""Regional compilation: the repeated blocks alone, so that one compilation serves all blocks of a kind and size."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.setting import Setting
from idol_model.unet.coupling import JointSpatialAttention, RandomShiftAttention
from idol_model.unet.layers import ResBlock, SpatialTransformer

COMPILED = (ResBlock, SpatialTransformer, JointSpatialAttention, RandomShiftAttention)
_KINDS_AND_SIZES = 64
"""Compiled forms of one class that may be kept: the U-Net's blocks come in about twenty sizes."""


def compile_blocks(networks: Iterable[nn.Module], first_call: Callable[[], Any], setting: Setting) -> dict[str, Any]:
    """Compile every block in place and make the first call, which pays for it. A rehearsal traces the
    blocks and leaves the code generation out."""
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, _KINDS_AND_SIZES)
    backend = "eager" if setting.rehearse else "inductor"
    blocks = [module for network in networks for module in network.modules() if isinstance(module, COMPILED)]
    for block in blocks:
        if block._compiled_call_impl is None:
            block.compile(backend=backend)
    began = time.perf_counter()
    first_call()
    if setting.on_gpu:
        torch.cuda.synchronize()
    kinds = sorted({type(block).__name__ for block in blocks})
    return {
        "backend": backend,
        "blocks": len(blocks),
        "kinds": kinds,
        "compilation_seconds": time.perf_counter() - began,
    }
