"""How much of the gradient each consistency term of Eq. 7 makes, so that a term which does nothing is seen.

Measured where a term reads its features: what it sends into them, and what else reaches them, through the rest of the
network, from denoising (and from other terms at later blocks). It costs norms of those tensors in the step's own
backward pass, which is not made twice and whose gradients stay as they are; so it works under every engine, in pieces,
with blocks computed again and with a scaled loss, since both norms carry the same factors.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

PREFIX = "grad_share_"
"""Begins the names of shares in logs."""


class GradientShares:
    """Collects squared norms of gradients, over the up blocks and the pieces of a step, while ``watching``."""

    def __init__(self) -> None:
        self.watching = False
        self._squares: dict[str, Tensor] = {}

    def watched(self, term: str, feature: Tensor) -> Tensor:
        """``feature`` for the term to read; where somebody watches, the backward pass is measured at it."""
        if not (self.watching and feature.requires_grad):
            return feature
        read = feature.view_as(feature)
        own: list[Tensor] = []
        # Autograd is done with a view of a tensor before it is done with the tensor, whose gradient is the sum.
        read.register_hook(own.append)
        feature.register_hook(lambda whole: self._add(term, own.pop() if own else torch.zeros_like(whole), whole))
        return read

    def taken(self) -> dict[str, Tensor]:
        """What was collected since the last call: scalars that may be averaged over processes, then go to `shares`."""
        squares, self._squares = self._squares, {}
        return squares

    def _add(self, term: str, own: Tensor, whole: Tensor) -> None:
        for name, gradient in ((f"{term}/own", own), (f"{term}/rest", whole - own)):
            square = torch.linalg.vector_norm(gradient, dtype=torch.float32).square()
            self._squares[name] = self._squares.get(name, 0.0) + square


def shares(squares: Mapping[str, float]) -> dict[str, float]:
    """``grad_share_TERM`` in [0, 1]: norm of the term's own (weighted) gradient over the sum of its and the rest's.

    A term is left out where the share cannot be known: the gradient overflowed (fp16 before its scale is found), or
    nothing but the term's own was seen (networks that are compiled hide what happens inside them).
    """
    found = {}
    for name in (name.removesuffix("/own") for name in squares if name.endswith("/own")):
        own, rest = math.sqrt(squares[f"{name}/own"]), math.sqrt(squares[f"{name}/rest"])
        share = own / (own + rest) if rest > 0 else math.nan
        if math.isfinite(share):
            found[PREFIX + name] = share
    return found
