"""Cross-attention between picture and condition tokens, and what becomes of its maps (Eq. 6, Tab. 8).

All frames of a clip look at the same tokens, so keys and values are made once a clip and not once a picture.
"""

from collections.abc import Callable
from typing import Literal, Protocol, cast

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional

from idol_model.types import VIDEO, Layout
from idol_model.unet.signal import over_frames
from idol_model.unet.taps import Recorder

CrossMapsKind = Literal["independent", "averaged", "video"]


class CrossMaps(Protocol):
    """The cross-map socket: runs one cross-attention and hands its map to the recorder, if there is one."""

    def attend(
        self, attention: Attention, x_NPD: Tensor, tokens_VTD: Tensor, layout: Layout, record: Recorder | None
    ) -> Tensor: ...


class IndependentMaps:
    """Each stream keeps its own map. Fused, unless a loss asks to see the map."""

    def attend(
        self, attention: Attention, x_NPD: Tensor, tokens_VTD: Tensor, layout: Layout, record: Recorder | None
    ) -> Tensor:
        if record is None:
            x_VPD = x_NPD.reshape(len(tokens_VTD), -1, x_NPD.shape[-1])  # every frame's positions ask in one call
            return attention(x_VPD, encoder_hidden_states=tokens_VTD).view_as(x_NPD)
        map_NKPT, value_NKTD = maps(attention, x_NPD, tokens_VTD, layout)
        record(map_NKPT)
        return output(attention, map_NKPT, value_NKTD)


class OneMap:
    """All streams use one map, chosen or made from those of each (Tab. 8): [S, M, K, P, T] -> [M, K, P, T]."""

    def __init__(self, choose: Callable[[Tensor], Tensor]) -> None:
        self._choose = choose

    def attend(
        self, attention: Attention, x_NPD: Tensor, tokens_VTD: Tensor, layout: Layout, record: Recorder | None
    ) -> Tensor:
        own_NKPT, value_NKTD = maps(attention, x_NPD, tokens_VTD, layout)
        one_MKPT = self._choose(own_NKPT.unflatten(0, (layout.streams, -1)))
        map_NKPT = one_MKPT.repeat(layout.streams, 1, 1, 1)
        if record is not None:
            record(map_NKPT)
        return output(attention, map_NKPT, value_NKTD)


def average(map_SMKPT: Tensor) -> Tensor:
    """The mean over the streams (Tab. 8, row 2)."""
    return map_SMKPT.mean(0)


def of_video(map_SMKPT: Tensor) -> Tensor:
    """The video's (Tab. 8, row 3)."""
    return map_SMKPT[VIDEO]


def maps(attention: Attention, x_NPD: Tensor, tokens_VTD: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """The explicit softmax map [N, K, P, T], float32, and the values [N, K, T, D/K] of one cross-attention."""
    query_NKPD = _heads(attention, attention.to_q(x_NPD))
    key_NKTD, value_NKTD = (
        over_frames(_heads(attention, cast(nn.Linear, to)(tokens_VTD)), layout)
        for to in (attention.to_k, attention.to_v)
    )
    # In float32 under autocast too: two streams' maps differ by less than rounded scores do, and a loss compares them.
    with torch.autocast(x_NPD.device.type, enabled=False):
        score_NKPT = query_NKPD.float() @ key_NKTD.float().transpose(-1, -2) * attention.scale
        return functional.softmax(score_NKPT, dim=-1), value_NKTD


def output(attention: Attention, map_NKPT: Tensor, value_NKTD: Tensor) -> Tensor:
    """What a map makes of the values, heads merged and projected: [N, P, D]."""
    y_NKPD = map_NKPT.to(value_NKTD.dtype) @ value_NKTD
    to_out, dropout = cast(nn.ModuleList, attention.to_out)
    return dropout(to_out(y_NKPD.transpose(1, 2).flatten(2)))


def _heads(attention: Attention, x_NTD: Tensor) -> Tensor:
    return x_NTD.unflatten(-1, (attention.heads, -1)).transpose(1, 2)


CROSS_MAPS: dict[CrossMapsKind, CrossMaps] = {
    "independent": IndependentMaps(),
    "averaged": OneMap(average),
    "video": OneMap(of_video),
}
