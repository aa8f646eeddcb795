"""The exponential running mean of trained weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunningMean:
    """Exponential running mean of the trained weights; empty where the stage keeps none (``decay`` 0).

    The decay rises from 0.1 to its value over the first steps, so that the beginning is forgotten.
    """

    def __init__(self, parameters: list[tuple[str, nn.Parameter]], decay: float) -> None:
        self._decay = decay
        self._named = parameters if decay else []
        self.tensors: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._named}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after step ``step``."""
        if self.tensors:
            weight = 1 - min(self._decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.tensors.values()), [p.detach() for _, p in self._named], weight)

    @torch.no_grad()
    def put(self) -> None:
        """Make the mean the weights: the result of the stage."""
        for name, parameter in self._named:
            parameter.copy_(self.tensors[name])

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the mean as weights for a while."""
        kept = [parameter.detach().clone() for _, parameter in self._named]
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for (_, parameter), value in zip(self._named, kept, strict=True):
                    parameter.copy_(value)

    def load(self, tensors: dict[str, Tensor], move: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Continue from a checkpoint's mean; ``move(value, like)`` brings a value to where ``like`` is kept."""
        for name, tensor in self.tensors.items():
            tensor.copy_(move(tensors[name], tensor))
