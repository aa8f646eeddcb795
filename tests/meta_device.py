"""Networks without storage."""

from collections.abc import Callable

import torch
from torch import nn


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """What ``build`` makes, on the meta device."""
    with torch.device("meta"):
        return build()
