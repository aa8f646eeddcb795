"""What a pose network gives to the U-Net."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Control:
    """Features added to the U-Net's skips and mid features; empty means nothing is added."""

    skips: tuple[Tensor, ...] = ()
    mid: Tensor | None = None

    def added(self, mid_NCHW: Tensor, skips: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The mid features and skips with the control on top."""
        if self.mid is None:
            return mid_NCHW, skips
        return mid_NCHW + self.mid, [skip + more for skip, more in zip(skips, self.skips, strict=True)]


NO_CONTROL = Control()
