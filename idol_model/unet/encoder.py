"""The encoder half, built and walked the same way in the U-Net and in the pose ControlNet."""

from dataclasses import dataclass
from functools import partial

from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn

from idol_model.types import Layout
from idol_model.unet.control import NO_CONTROL, Control
from idol_model.unet.coupling import NoCoupling
from idol_model.unet.cross_maps import CROSS_MAPS, CrossMapsKind
from idol_model.unet.embedding import NoLabel, StreamLabel
from idol_model.unet.norms import NORMS, NormKind
from idol_model.unet.sharing import SharingKind
from idol_model.unet.signal import Signal, over_frames, over_streams
from idol_model.unet.spec import LayerSpec
from idol_model.unet.stages import Coupler, DownStage, MidStage
from idol_model.unet.temporal import TEMPORAL, TemporalKind


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Sizes shared by U-Net and ControlNet. The defaults are Stable Diffusion v1.4's."""

    in_channels: int = 4
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    depth: int = 2
    """Residual blocks of a down stage."""
    attention: tuple[bool, ...] = (True, True, True, False)
    """Which down stages carry transformers; the up stages mirror them."""
    tokens: int = 768
    """Width of the condition tokens."""
    heads: int = 8
    groups: int = 32
    streams: int = 2
    sharing: SharingKind = "shared"
    norm: NormKind = "picture"
    temporal: TemporalKind = "handcrafted"
    cross_maps: CrossMapsKind = "independent"

    def __post_init__(self) -> None:
        if len(self.attention) != len(self.widths):
            raise ValueError(
                f"unet.attention: {len(self.attention)} values for {len(self.widths)} widths; give one a stage"
            )
        for width in self.widths:
            if width % self.groups or width % self.heads:
                raise ValueError(
                    f"unet.widths: {width} is not divisible by groups={self.groups} and heads={self.heads}"
                )

    @property
    def spec(self) -> LayerSpec:
        """What every layer is built with."""
        return LayerSpec(
            embedding=4 * self.widths[0],
            tokens=self.tokens,
            heads=self.heads,
            groups=self.groups,
            norm=NORMS[self.norm],
            temporal=TEMPORAL[self.temporal],
            cross_maps=CROSS_MAPS[self.cross_maps],
        )


class EncoderParts:
    """The attributes that `build_encoder` gives a network."""

    conv_in: nn.Conv2d
    time_proj: Timesteps
    time_embedding: TimestepEmbedding
    class_embedding: StreamLabel | NoLabel
    down_blocks: nn.ModuleList
    mid_block: MidStage


def build_encoder(net: EncoderParts, config: EncoderConfig, coupler: Coupler) -> None:
    """Give ``net`` the encoder's parts under diffusers' names, so that both networks read the same weights."""
    spec, widths = config.spec, config.widths
    net.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
    net.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
    net.time_embedding = TimestepEmbedding(widths[0], spec.embedding)
    net.class_embedding = _LABELS[config.sharing, config.streams > 1](config.streams, spec.embedding)
    steps = zip((widths[0], *widths), widths, config.attention, strict=False)
    net.down_blocks = nn.ModuleList(
        # Only stages with transformers are coupled: three down, three up at full size (``docs/deviations.md``).
        DownStage(
            spec,
            (inner, out),
            config.depth,
            attention,
            i == len(widths) - 1,
            coupler if attention else NoCoupling,
        )
        for i, (inner, out, attention) in enumerate(steps)
    )
    net.mid_block = MidStage(spec, widths[-1])


def embed(net: EncoderParts, t_B: Tensor, tokens_BTD: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Time and modality embedding [N, E] of every picture, and the tokens [V, T, D] of every clip of a stream."""
    time_VE = net.time_embedding(net.time_proj(over_streams(t_B, layout)).to(tokens_BTD.dtype))
    embedding_ND = net.class_embedding.add(over_frames(time_VE, layout), layout)
    return embedding_ND, over_streams(tokens_BTD, layout)


def run_encoder(
    net: EncoderParts, x_NCHW: Tensor, signal: Signal, control: Control = NO_CONTROL
) -> tuple[Tensor, list[Tensor]]:
    """From the first features to the mid stage's output and the skips, in the order they arose."""
    skips = [x_NCHW]
    for i, stage in enumerate(net.down_blocks):
        x_NCHW, more = stage(x_NCHW, signal, partial(control.into_stage, i))
        skips.extend(more)
    return net.mid_block(x_NCHW, signal), skips


_LABELS: dict[tuple[SharingKind, bool], type[StreamLabel] | type[NoLabel]] = {
    ("shared", True): StreamLabel,
    ("shared", False): NoLabel,
    ("separate", True): NoLabel,
    ("separate", False): NoLabel,
}
"""By sharing, and whether there are several streams: separate networks know theirs without being told."""
