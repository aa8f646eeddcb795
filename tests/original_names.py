"""Stable Diffusion's original names for diffusers' networks, written from the original code's structure."""

import re
from collections.abc import Mapping

from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def unet(weights: Mapping[str, Tensor], levels: int, depth: int, attention: tuple[bool, ...]) -> dict[str, Tensor]:
    """A U-Net's weights as ``model.diffusion_model.*``."""
    return {"model.diffusion_model." + _unet_name(name, levels, depth, attention): v for name, v in weights.items()}


def _unet_name(name: str, levels: int, depth: int, attention: tuple[bool, ...]) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _ENDS:
        return f"{_ENDS[stem]}.{kind}"
    parts = name.split(".")
    if parts[0] == "mid_block":
        place = {("resnets", "0"): 0, ("attentions", "0"): 1, ("resnets", "1"): 2}[parts[1], parts[2]]
        return f"middle_block.{place}.{_inner(parts[1], parts[3:])}"
    block, what, number = int(parts[1]), parts[2], int(parts[3])
    if parts[0] == "down_blocks":
        row = 1 + block * (depth + 1) + (depth if what == "downsamplers" else number)
        return f"input_blocks.{row}.{_place(what)}.{_inner(what, parts[4:])}"
    row = block * (depth + 1) + (depth if what == "upsamplers" else number)
    after = 1 + attention[levels - 1 - block] if what == "upsamplers" else _place(what)
    return f"output_blocks.{row}.{after}.{_inner(what, parts[4:])}"


def _place(what: str) -> int:
    return 1 if what == "attentions" else 0


def _inner(what: str, rest: list[str]) -> str:
    if what == "resnets":
        return ".".join([_RESNET[rest[0]], *rest[1:]])
    if what == "downsamplers":
        return ".".join(["op", *rest[1:]])
    return ".".join(rest)


def vae(weights: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """An autoencoder's weights as ``first_stage_model.*``; its attention's matrices are 1 x 1 convolutions there."""
    found = {}
    for name, value in weights.items():
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        new = new.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", new)
        new = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", new)
        new = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", new)
        new = new.replace("conv_norm_out", "norm_out").replace("group_norm", "norm")
        for ours, theirs in (("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            new = new.replace(f"attn_1.{ours}", f"attn_1.{theirs}")
        matrix = "attn_1" in new and value.ndim == 2
        found["first_stage_model." + new] = value[:, :, None, None].contiguous() if matrix else value
    return found
