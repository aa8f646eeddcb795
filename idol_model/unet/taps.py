"""Taps: a loss says which features it needs; the network records those and nothing else."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

MotionFeature = Literal["self_attention", "self_attention_input", "block"]
Kind = MotionFeature | Literal["cross_maps"]
Recorder = Callable[[Tensor], None]


class Taps:
    """Features wanted from one forward pass, and those recorded, by kind, in the order of the up blocks.

    ``self_attention`` records F of Eq. 3, [N, P, D]: the output of the last spatial self-attention of an up block.
    ``self_attention_input`` its normalised input, ``block`` the output of its whole transformer block: other readings.
    ``cross_maps`` records M of Eq. 6, [N, K, P, T]: the softmax map of that block's last cross-attention.
    """

    def __init__(self, *wanted: Kind) -> None:
        self._features: dict[Kind, list[Tensor]] = {kind: [] for kind in wanted}

    def recorder(self, kind: Kind) -> Recorder | None:
        """Where to put a feature of this kind, or None if nobody asked for it."""
        features = self._features.get(kind)
        return None if features is None else features.append

    def offer(self, kind: Kind, feature: Tensor) -> None:
        """Record a feature if somebody asked for it."""
        if kind in self._features:
            self._features[kind].append(feature)

    def features(self, kind: Kind) -> list[Tensor]:
        """What was recorded so far, one tensor an up block.

        Raises:
            KeyError: the kind was not among those wanted.
        """
        return self._features[kind]

    def close(self) -> None:
        """Let go of what was recorded and of all that comes: blocks computed again in the backward pass offer it anew.

        Recorders stay where they were, so that such a block takes the same way as before.
        """
        self._features = {kind: _Deaf() for kind in self._features}


class _Deaf(list[Tensor]):
    """Hears nothing."""

    def append(self, feature: Tensor) -> None:
        del feature


NO_TAPS = Taps()
"""Nobody listens: attention stays fused."""
