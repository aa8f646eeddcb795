"""Parameter sharing between streams (Tab. 4): one network for all of them, or one a stream.

Separate networks are the shared one with every layer that has parameters copied for each stream. What lies between
layers (the walk, the folding, taps, coupling) stays as it is, so coupling can still join separate networks.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from idol_model.unet.coupling import Coupling

SharingKind = Literal["shared", "separate"]


class PerStream(nn.Module):
    """A layer with one copy a stream. Takes and gives the folded batch, whose first axis is stream-major."""

    def __init__(self, layer: nn.Module, streams: int) -> None:
        super().__init__()
        self.streams = nn.ModuleList([layer, *(copy.deepcopy(layer) for _ in range(streams - 1))])

    def forward(self, x_N: Tensor, *rest: Any, **named: Any) -> Tensor:
        parts = x_N.chunk(len(self.streams))
        return torch.cat([layer(part, *rest, **named) for layer, part in zip(self.streams, parts, strict=True)])


class ForEachStream(PerStream):
    """The same for what all streams read alike: [M, ...] -> [S*M, ...], stream-major."""

    def forward(self, x_N: Tensor, *rest: Any, **named: Any) -> Tensor:
        return torch.cat([layer(x_N, *rest, **named) for layer in self.streams])


def separate(net: nn.Module, streams: int, read_alike: tuple[type[nn.Module], ...] = ()) -> None:
    """Give every stream its own copy of each layer of ``net``; all copies begin equal.

    Coupling is left whole. Modules of a type in ``read_alike`` are copied whole, since their input has no stream yet.
    """
    for name, child in list(net.named_children()):
        if isinstance(child, Coupling):
            continue
        if isinstance(child, read_alike):
            net.register_module(name, ForEachStream(child, streams))
        elif child._parameters:
            net.register_module(name, PerStream(child, streams))
        else:
            separate(child, streams, read_alike)


def shared_name(name: str) -> str:
    """The name that a parameter of a separate network has in the shared one."""
    parts = name.split(".")
    marks = [i for i, part in enumerate(parts[:-1]) if part == "streams" and parts[i + 1].isdigit()]
    return ".".join(part for i, part in enumerate(parts) if i not in marks and i - 1 not in marks)


def _keep(net: nn.Module, streams: int, read_alike: tuple[type[nn.Module], ...] = ()) -> None:
    del net, streams, read_alike


SHARING: Mapping[SharingKind, Callable[..., None]] = {"shared": _keep, "separate": separate}
