"""The denoiser against diffusers' own networks, in one run: seconds per FLOP, and what the second stream costs.

    python benchmarks/denoiser.py [--widths 32 64] [--device cpu] [--json]

Rows of one width are timed in turn, round after round, so that a busy machine slows all of them; the best round counts.
"ours" is a whole denoising step of the paper's model: both streams, temporal layers, coupling, pose ControlNet.
Random weights: speed does not depend on them.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from idol_model.pose_control import ControlNetConfig, PoseControlNet
from idol_model.unet import DualModalUNet, UNetConfig

FRAMES, SIDE, TOKENS, HEADS = 8, 32, 77, 8
Call = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One row: what a call costs and how long it takes at best."""

    name: str
    gflop: float
    seconds: float

    @property
    def picoseconds_per_flop(self) -> float:
        """Lower is better."""
        return self.seconds / self.gflop * 1e3


def sizes(width: int) -> dict[str, Any]:
    """Stable Diffusion's proportions at another width."""
    return {"widths": (width, 2 * width, 4 * width, 4 * width), "tokens": 96, "heads": HEADS, "groups": 16}


def ours(width: int, streams: int, device: str) -> Call:
    """A denoising step of the paper's model with one or both streams."""
    config = sizes(width) | {"streams": streams}
    unet = DualModalUNet.of(UNetConfig(**config, coupling="joint_spatial" if streams > 1 else "none")).to(device).eval()
    pose = PoseControlNet.of(ControlNetConfig(**config)).to(device).eval()
    z = torch.randn(streams, 1, FRAMES, 4, SIDE, SIDE, device=device)
    t, tokens = torch.tensor([500], device=device), torch.randn(1, TOKENS, 96, device=device)
    background = torch.randn(1, 4, SIDE, SIDE, device=device)
    hint = pose.prepare(torch.rand(1, FRAMES, 3, 8 * SIDE, 8 * SIDE, device=device))
    return lambda: unet(z, t, tokens, background, pose(z, t, tokens, background, hint))


def flat(width: int, device: str) -> Call:
    """diffusers' 2D U-Net on as many pictures as both streams have."""
    config = {"block_out_channels": sizes(width)["widths"], "cross_attention_dim": 96, "norm_num_groups": 16}
    net = UNet2DConditionModel(**config, attention_head_dim=HEADS, sample_size=SIDE).to(device).eval()
    pictures = 2 * FRAMES
    z, tokens = torch.randn(pictures, 4, SIDE, SIDE, device=device), torch.randn(pictures, TOKENS, 96, device=device)
    return lambda: net(z, torch.tensor(500, device=device), tokens)


def volume(width: int, device: str) -> Call:
    """diffusers' 3D U-Net on as many clips as there are streams."""
    config = {"block_out_channels": sizes(width)["widths"], "cross_attention_dim": 96, "norm_num_groups": 16}
    net = UNet3DConditionModel(**config, attention_head_dim=sizes(width)["widths"][0] // HEADS).to(device).eval()
    z, tokens = torch.randn(2, 4, FRAMES, SIDE, SIDE, device=device), torch.randn(2, TOKENS, 96, device=device)
    return lambda: net(z, torch.tensor(500, device=device), tokens)


def measure(calls: dict[str, Call], rounds: int, device: str) -> list[Timing]:
    """Each call's FLOPs, and its best time over ``rounds`` in turn."""
    flops, best = {}, dict.fromkeys(calls, float("inf"))
    for name, call in calls.items():
        with FlopCounterMode(display=False) as counter:
            call()
        flops[name] = counter.get_total_flops() / 1e9
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            best[name] = min(best[name], time.perf_counter() - started)
    return [Timing(name=name, gflop=flops[name], seconds=best[name]) for name in calls]


@torch.no_grad()
def compare(width: int, rounds: int, device: str) -> dict[str, Any]:
    """The rows and ratios of one width."""
    calls = {
        "ours, both streams": ours(width, 2, device),
        "ours, one stream": ours(width, 1, device),
        "UNet2DConditionModel": flat(width, device),
        "UNet3DConditionModel": volume(width, device),
    }
    rows = measure(calls, rounds, device)
    both, one, plain, solid = rows
    return {
        "width": width,
        "rows": [asdict(row) | {"ps_per_flop": row.picoseconds_per_flop} for row in rows],
        "per FLOP against the 2D U-Net (at most 1.15)": both.picoseconds_per_flop / plain.picoseconds_per_flop,
        "per FLOP against the 3D U-Net (at most 0.8)": both.picoseconds_per_flop / solid.picoseconds_per_flop,
        "both streams over one (at most 2.05)": both.seconds / one.seconds,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = [compare(width, given.rounds, given.device) for width in given.widths]
    if given.json:
        print(json.dumps(found, indent=2))
        return
    for result in found:
        print(f"width {result['width']}, {FRAMES} frames of {SIDE} x {SIDE} latents, {given.device}, random weights")
        for row in result["rows"]:
            cost = f"{row['gflop']:>9.1f} GFLOP{row['seconds']:>9.3f} s{row['ps_per_flop']:>9.2f} ps/FLOP"
            print(f"  {row['name']:<24}{cost}")
        for name, value in result.items():
            if isinstance(value, float):
                print(f"  {name:<48}{value:>6.2f}")


if __name__ == "__main__":
    main()
