"""Training objectives: Eq. 2 (joint denoising) and Eq. 7 (with the consistency terms)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from torch import Tensor

from idol_model import losses
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion
from idol_model.gradient_shares import GradientShares
from idol_model.losses import ConsistencyNorm
from idol_model.types import DEPTH, VIDEO, LatentBatch
from idol_model.unet.taps import Kind, MotionFeature, Taps


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """Weights of Eq. 7, 0 leaves a term out, and how its terms are read.

    The defaults are the paper's weights (App. B) with Eq. 5 to the letter; recipes choose other readings
    (``docs/deviations.md``).
    """

    w_mo: float = 0.01
    w_xattn: float = 0.01
    motion_feature: MotionFeature = "self_attention"
    """What F of Eq. 3 is."""
    motion_norm: ConsistencyNorm = "mean"
    """What squared differences of motion fields are divided by (`idol_model.losses.NORMS`)."""
    xattn_norm: ConsistencyNorm = "mean"
    """The same for cross-attention maps."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What a step minimises and the named parts it is made of (detached, unweighted)."""

    total: Tensor
    parts: dict[str, Tensor]


class Denoiser(Protocol):
    """The part of a model that an objective calls."""

    def __call__(
        self, z_SBLCHW: Tensor, t_B: Tensor, tokens_BTD: Tensor, background_BCHW: Tensor, pose_BLCHW: Tensor, taps: Taps
    ) -> Tensor: ...

    def tokens(self, foreground: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class ConsistencyTerm:
    """One term of the sum in Eq. 7: which features it taps and how it compares the two streams of a block."""

    name: str
    weight: float
    taps: Kind
    compare: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, taps: Taps, batch: LatentBatch, shares: GradientShares) -> Tensor:
        """Sum over the up blocks n = 1..N."""
        total = batch.z_SBLCHW.new_zeros(())
        for features in taps.features(self.taps):
            streams = shares.watched(self.name, features).unflatten(0, batch.z_SBLCHW.shape[:3])
            total = total + self.compare(streams[VIDEO], streams[DEPTH])
        return total


def _maps(video_BLKPT: Tensor, depth_BLKPT: Tensor, norm: ConsistencyNorm) -> Tensor:
    return losses.cross_attention_consistency(video_BLKPT.flatten(0, 1), depth_BLKPT.flatten(0, 1), norm)


def consistency_terms(config: ObjectiveConfig, streams: int, frames: int) -> list[ConsistencyTerm]:
    """The terms that exist for a batch: both need two streams, motion needs two frames."""
    terms = [ConsistencyTerm("xattn", config.w_xattn, "cross_maps", partial(_maps, norm=config.xattn_norm))]
    if frames > 1:
        fields = partial(losses.motion_consistency, norm=config.motion_norm)
        terms.append(ConsistencyTerm("motion", config.w_mo, config.motion_feature, fields))
    return [term for term in terms if term.weight > 0 and streams == 2]


class JointDenoising:
    """Eq. 2 and 7: one time a clip for both streams, independent noise for each, plus the consistency terms."""

    def __init__(self, config: ObjectiveConfig, diffusion: Diffusion, shares: GradientShares | None = None) -> None:
        self.config = config
        self.diffusion = diffusion
        self._shares = shares or GradientShares()

    def __call__(self, model: Denoiser, batch: LatentBatch, chance: Chance) -> Losses:
        """Losses of one batch, means over its clips; all randomness comes from ``chance``."""
        z, streams, _, frames = batch.z_SBLCHW, *batch.z_SBLCHW.shape[:3]
        eps = self.diffusion.noise(z, chance)
        t_B = chance.below(self.diffusion.config.train_steps).to(z.device)
        terms = consistency_terms(self.config, streams, frames)
        wanted: list[Kind] = [term.taps for term in terms]
        taps = Taps(*wanted)
        prediction = model(
            self.diffusion.noised(z, eps, t_B),
            t_B,
            model.tokens(batch.foreground),
            batch.background_BCHW,
            batch.pose_BLCHW,
            taps,
        )
        error_SB = (prediction.float() - self.diffusion.target(z, eps, t_B)).square().flatten(2).mean(2)
        # Eq. 2 adds the two expectations.
        total = denoise = (error_SB * self.diffusion.weight(t_B)).mean(1).sum()
        values = {term: term(taps, batch, self._shares) for term in terms}
        taps.close()
        for term, value in values.items():
            total = total + term.weight * value
        parts = {f"denoise_{name}": error for name, error in zip(("video", "depth"), error_SB.mean(1), strict=False)}
        parts |= {"denoise": denoise, **{term.name: value for term, value in values.items()}}
        return Losses(total, {name: value.detach() for name, value in parts.items()})
