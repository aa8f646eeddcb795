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
        """What was recorded, one tensor an up block.

        Raises:
            KeyError: the kind was not among those wanted.
        """
        return self._features[kind]


NO_TAPS = Taps()
"""Nobody listens: attention stays fused."""
