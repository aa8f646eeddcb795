"""The denoiser against diffusers' own networks, in one run: seconds per FLOP, and what the second stream costs.

    python benchmarks/denoiser.py [--widths 128 192] [--device cpu] [--channels-last] [--compile] [--json]

Rows of one width are timed in turn, round after round, so that a busy machine slows all of them; the best round counts.
"ours" is a whole denoising step of the paper's model: both streams, temporal layers, coupling, pose ControlNet.
All rows run in the same memory format, compiled or not, under the same allocator.
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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from idol_model.allocator import keep_freed_memory
from idol_model.pose_control import ControlNetConfig, PoseControlNet
from idol_model.unet import DualModalUNet, UNetConfig
from idol_model.unet.coupling import CouplingKind

FRAMES, SIDE, TOKENS, TOKEN_WIDTH, HEADS = 8, 32, 257, 96, 8
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How every row of a run is run."""

    device: str = "cpu"
    channels_last: bool = False
    compile: bool = False

    def ready(self, net: nn.Module) -> nn.Module:
        """The network as this run wants it."""
        net = net.to(self.device).eval()
        if self.channels_last and not isinstance(net, UNet3DConditionModel):  # has 5-D weights of another format
            net = net.to(memory_format=torch.channels_last)
        if self.compile:
            net.compile()
        return net

    def random(self, *shape: int) -> torch.Tensor:
        """An input."""
        return torch.randn(*shape, device=self.device)

    @property
    def time(self) -> torch.Tensor:
        """A diffusion time, one a clip."""
        return torch.tensor([500], device=self.device)


def sizes(width: int) -> dict[str, Any]:
    """Stable Diffusion's proportions at another width."""
    return {"widths": (width, 2 * width, 4 * width, 4 * width), "tokens": TOKEN_WIDTH, "heads": HEADS, "groups": 16}


def ours(width: int, streams: int, coupling: CouplingKind, setting: Setting) -> Call:
    """A denoising step of the paper's model with one or both streams."""
    config = sizes(width) | {"streams": streams}
    unet = setting.ready(DualModalUNet.of(UNetConfig(**config, coupling=coupling)))
    pose = setting.ready(PoseControlNet.of(ControlNetConfig(**config)))
    z, tokens = setting.random(streams, 1, FRAMES, 4, SIDE, SIDE), setting.random(1, TOKENS, TOKEN_WIDTH)
    background = setting.random(1, 4, SIDE, SIDE)
    hint = pose.prepare(setting.random(1, FRAMES, 3, 8 * SIDE, 8 * SIDE))
    given = (z, setting.time, tokens, background)
    return lambda: unet(*given, pose(*given, hint))


def flat(width: int, setting: Setting) -> Call:
    """diffusers' 2D U-Net on as many pictures as both streams have."""
    net = setting.ready(UNet2DConditionModel(**_diffusers_sizes(width), attention_head_dim=HEADS, sample_size=SIDE))
    pictures = 2 * FRAMES
    z, tokens = setting.random(pictures, 4, SIDE, SIDE), setting.random(pictures, TOKENS, TOKEN_WIDTH)
    return lambda: net(z, setting.time[0], tokens)


def volume(width: int, setting: Setting) -> Call:
    """diffusers' 3D U-Net on as many clips as there are streams."""
    net = setting.ready(UNet3DConditionModel(**_diffusers_sizes(width), attention_head_dim=width // HEADS))
    z, tokens = setting.random(2, 4, FRAMES, SIDE, SIDE), setting.random(2, TOKENS, TOKEN_WIDTH)
    return lambda: net(z, setting.time[0], tokens)


def _diffusers_sizes(width: int) -> dict[str, Any]:
    return {"block_out_channels": sizes(width)["widths"], "cross_attention_dim": TOKEN_WIDTH, "norm_num_groups": 16}


def measure(calls: dict[str, Call], rounds: int, device: str) -> list[Timing]:
    """Each call's FLOPs, and its best time over ``rounds`` in turn, after one call to warm up."""
    flops, best = {}, dict.fromkeys(calls, float("inf"))
    for name, call in calls.items():
        with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
            call()
        flops[name] = counter.get_total_flops() / 1e9
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            best[name] = min(best[name], time.perf_counter() - started)
    return [Timing(name=name, gflop=flops[name], seconds=best[name]) for name in calls]


@torch.no_grad()
def compare(width: int, rounds: int, setting: Setting) -> dict[str, Any]:
    """The rows and ratios of one width."""
    calls = {
        "ours, both streams": ours(width, 2, "joint_spatial", setting),
        "ours, one stream": ours(width, 1, "joint_spatial", setting),
        "ours, one, no coupling": ours(width, 1, "none", setting),
        "UNet2DConditionModel": flat(width, setting),
        "UNet3DConditionModel": volume(width, setting),
    }
    rows = measure(calls, rounds, setting.device)
    both, one, bare, plain, solid = rows
    return {
        "width": width,
        "rows": [asdict(row) | {"ps_per_flop": row.picoseconds_per_flop} for row in rows],
        "per FLOP against the 2D U-Net (at most 1.15)": both.picoseconds_per_flop / plain.picoseconds_per_flop,
        "per FLOP against the 3D U-Net (at most 0.8)": both.picoseconds_per_flop / solid.picoseconds_per_flop,
        "both streams over one (at most 2.05)": both.seconds / one.seconds,
        "both over one without coupling": both.seconds / bare.seconds,
        "the same in FLOPs": both.gflop / bare.gflop,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 192])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    setting = Setting(device=given.device, channels_last=given.channels_last, compile=given.compile)
    if given.device == "cpu":
        keep_freed_memory()
    found = [compare(width, given.rounds, setting) for width in given.widths]
    if given.json:
        print(json.dumps({"setting": asdict(setting), "widths": found}, indent=2))
        return
    for result in found:
        print(f"width {result['width']}, {FRAMES} frames of {SIDE} x {SIDE} latents, {setting}, random weights")
        for row in result["rows"]:
            cost = f"{row['gflop']:>9.1f} GFLOP{row['seconds']:>9.3f} s{row['ps_per_flop']:>9.2f} ps/FLOP"
            print(f"  {row['name']:<24}{cost}")
        for name, value in result.items():
            if isinstance(value, float):
                print(f"  {name:<48}{value:>6.2f}")


if __name__ == "__main__":
    main()
