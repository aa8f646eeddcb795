"""Two sizes of one architecture, in our words and in diffusers'."""

from typing import Any

import pytest

SMALL = {"widths": (32, 64), "depth": 1, "attention": (True, False), "tokens": 16, "heads": 4, "groups": 8}
LARGER = {"widths": (32, 64, 96, 96), "depth": 2, "attention": (True, True, True, False), "tokens": 24, "heads": 8}
LARGER |= {"groups": 16}
SIZES = pytest.mark.parametrize("sizes", [SMALL, LARGER], ids=["small", "larger"])


def encoder(sizes: dict, kind: str = "2D") -> dict[str, Any]:
    """Keyword arguments of diffusers' networks with an encoder of these sizes."""
    return {
        "in_channels": 4,
        "block_out_channels": sizes["widths"],
        "layers_per_block": sizes["depth"],
        "down_block_types": tuple(f"CrossAttnDownBlock{kind}" if a else f"DownBlock{kind}" for a in sizes["attention"]),
        "cross_attention_dim": sizes["tokens"],
        "norm_num_groups": sizes["groups"],
    }


def decoder(sizes: dict, kind: str = "2D") -> dict[str, Any]:
    """Those of the other half."""
    up = tuple(f"CrossAttnUpBlock{kind}" if a else f"UpBlock{kind}" for a in sizes["attention"][::-1])
    return {"up_block_types": up, "sample_size": 8}
