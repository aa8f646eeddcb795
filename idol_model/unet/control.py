"""What a pose network gives to the U-Net."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Control:
    """Features added to the U-Net's skips, mid features and down stages; empty means nothing is added."""

    skips: tuple[Tensor, ...] = ()
    mid: Tensor | None = None
    stages: tuple[Tensor, ...] = ()
    """Added at the end of each down stage, before its skip and its halving (T2I-Adapter)."""

    def into_stage(self, index: int, x_NCHW: Tensor) -> Tensor:
        """The features of down stage number ``index`` with the control on top."""
        return x_NCHW + self.stages[index] if self.stages else x_NCHW

    def added(self, mid_NCHW: Tensor, skips: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The mid features and skips with the control on top."""
        if self.mid is None:
            return mid_NCHW, skips
        return mid_NCHW + self.mid, [skip + more for skip, more in zip(skips, self.skips, strict=True)]


NO_CONTROL = Control()
