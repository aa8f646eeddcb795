"""Sizes and sockets that every layer of one network shares."""

from dataclasses import dataclass

from idol_model.unet.cross_maps import CrossMaps
from idol_model.unet.norms import Norm
from idol_model.unet.temporal import TemporalLayers


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSpec:
    """How the layers of a network are built: embedding and token widths, heads, groups, filled sockets."""

    embedding: int
    tokens: int
    heads: int
    groups: int
    norm: Norm
    temporal: TemporalLayers
    cross_maps: CrossMaps
