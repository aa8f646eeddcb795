"""The part of a recipe that says whether LoRA is trained, and how large."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraConfig:
    """Low-rank updates of attention projections in U-Net and pose network; the default has none."""

    rank: int = 0
    """Rank of an update; 0 trains no LoRA."""
    alpha: float | None = None
    """An update is scaled by alpha / rank; None takes the rank, a scale of 1."""
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Names of the linear layers that are updated: spatial, temporal and cross attention, and the streams' coupling."""

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"lora.rank: {self.rank} is below 0; set a rank such as 16, or 0 to train no LoRA")
        if not self.targets:
            raise ValueError("lora.targets: is empty; name linear layers such as to_q, or set lora.rank=0")

    @property
    def scaling(self) -> float:
        """What `alpha` is where it is not given."""
        return float(self.rank) if self.alpha is None else self.alpha
