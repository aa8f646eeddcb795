"""What the network does inside (Fig. 3): features, motion fields and cross-attention maps of both streams, by up block.

One clip is noised to a chosen time and denoised once; what the recipe's consistency losses see is kept as pictures.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idol_model import data, losses
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion
from idol_model.model import IdolModel
from idol_model.objective import ObjectiveConfig
from idol_model.pipeline import IdolPipeline
from idol_model.transfer import moved
from idol_model.unet import Taps
from idol_prep.schema import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One up block, side x side positions. Pictures are uint8 [S, L, side, side, 3], the video's before the depth's.

    features: first three principal components of both streams together. motion: where each position moves to in the
    next frame, hue by direction, strength by distance (one frame fewer). attention: which part of the foreground each
    position looks at, hue by its place on the person from head to foot, strength by how sure.
    """

    number: int
    side: int
    features: NDArray[np.uint8]
    motion: NDArray[np.uint8]
    attention: NDArray[np.uint8]
    l_mo: float
    l_xattn: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A clip from inside: the window's true frames, uint8 [L, S, S, 3], and the up blocks in their order."""

    clip: str
    time: int
    frames: NDArray[np.uint8]
    blocks: tuple[Block, ...]


@torch.no_grad()
def inspect(pipe: IdolPipeline, clip: Clip, *, time: int, seed: int = 0) -> Inspection:
    """Look at the first window of ``clip``, noised to step ``time`` of the training schedule.

    Raises:
        ValueError: the time lies outside the schedule, or the model has one stream.
        idol_model.data.DataShortage: the clip lacks what the recipe needs, or has a single frame.
    """
    recipe = pipe.recipe
    steps = recipe.diffusion.train_steps
    if not 0 <= time < steps:
        raise ValueError(f"time: {time} lies outside 0 to {steps - 1}, the steps of the noise schedule")
    if recipe.unet.streams < 2:
        raise ValueError(f"recipe {recipe.name}: has one stream, there is nothing to compare")
    frames = min(pipe.plan.frames, clip.record.frames)
    if frames < 2:
        raise data.DataShortage(f"clip {clip.record.id}: has one frame; motion needs two")
    given = data.clip_inputs(clip, recipe.data, stop=frames)
    model = IdolModel(pipe.unet, pipe.pose_control, pipe.foreground, pipe.codec)
    device, dtype = pipe.device, pipe.unet.dtype
    batch = model.encode(moved(data.clip_batch([given], recipe.data, model.foreground), device, dtype))
    diffusion = Diffusion(recipe.diffusion)
    t_B = torch.tensor([time], device=device)
    eps = diffusion.noise(batch.z_SBLCHW, Chance.of((seed,), range(batch.z_SBLCHW.shape[1])))
    taps = Taps(recipe.objective.motion_feature, "cross_maps")
    z_t = diffusion.noised(batch.z_SBLCHW, eps, t_B).to(dtype)
    tokens = model.tokens(batch.foreground)
    model(z_t, t_B, tokens, batch.background_BCHW, batch.pose_BLCHW, taps)
    pairs = zip(taps.features(recipe.objective.motion_feature), taps.features("cross_maps"), strict=True)
    blocks = tuple(_block(number, *pair, frames, recipe.objective) for number, pair in enumerate(pairs))
    return Inspection(clip=clip.record.id, time=time, frames=given.frames, blocks=blocks)


def _block(number: int, features_NPD: Tensor, maps_NKPT: Tensor, frames: int, objective: ObjectiveConfig) -> Block:
    features_SLPD = features_NPD.unflatten(0, (2, frames)).float().cpu()
    maps_SLKPT = maps_NKPT.unflatten(0, (2, frames)).float().cpu()
    side = round(features_SLPD.shape[2] ** 0.5)
    video, depth = features_SLPD.unsqueeze(1)
    return Block(
        number=number,
        side=side,
        features=_as_pictures(principal_colours(features_SLPD), side),
        motion=_as_pictures(motion_colours(features_SLPD, side), side),
        attention=_as_pictures(attention_colours(maps_SLKPT.mean(2)), side),
        l_mo=float(losses.motion_consistency(video, depth, norm=objective.motion_norm)),
        l_xattn=float(losses.cross_attention_consistency(*maps_SLKPT, norm=objective.xattn_norm)),
    )


def principal_colours(features_SLPD: Tensor) -> Tensor:
    """The first three principal components of all positions together, each stretched to [0, 1]: [S, L, P, 3]."""
    flat = features_SLPD.flatten(0, 2)
    centred = flat - flat.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    components = centred @ directions[:3].T
    low, high = (torch.quantile(components, q, dim=0) for q in (0.02, 0.98))
    return ((components - low) / (high - low).clamp(min=1e-12)).clamp(0, 1).view(*features_SLPD.shape[:3], 3)


def motion_colours(features_SLPD: Tensor, side: int) -> Tensor:
    """Mean displacement under the motion field of Eq. 4 as colours, [S, L-1, P, 3]; white does not move."""
    field_SLPP = losses.motion_field(losses.cost_volume(features_SLPD), features_SLPD.shape[-1] ** -0.5)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    place_P2 = torch.stack([columns.flatten(), rows.flatten()], dim=-1).float()
    # A soft field drifts towards the picture's middle; what all positions share with uniform attention is taken out.
    moved_SLP2 = field_SLPP @ place_P2
    still_SLP2 = field_SLPP.mean(-2, keepdim=True) @ place_P2
    flow = moved_SLP2 - still_SLP2
    angle = torch.atan2(flow[..., 1], flow[..., 0]) / (2 * torch.pi) % 1
    speed = flow.norm(dim=-1)
    return hsv_to_rgb(angle, speed / speed.amax().clamp(min=1e-12), torch.ones_like(angle))


def attention_colours(map_SLPT: Tensor) -> Tensor:
    """Which token each position looks at: hue by the token's place in reading order, strength by certainty."""
    tokens = map_SLPT.shape[-1]
    hue = (map_SLPT * torch.arange(tokens)).sum(-1) / tokens * 0.8
    entropy = -(map_SLPT.clamp(min=1e-12).log() * map_SLPT).sum(-1) / float(np.log(tokens))
    return hsv_to_rgb(hue, torch.ones_like(hue), (1 - entropy).clamp(0.15, 1))


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Hue in turns, all in [0, 1], to RGB in [0, 1] on a new last axis."""
    shifts = torch.tensor([5.0, 3.0, 1.0])
    sector = (shifts + 6 * hue.unsqueeze(-1)) % 6
    ramp = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value.unsqueeze(-1) * (1 - saturation.unsqueeze(-1) * ramp)


def _as_pictures(colours_SLP3: Tensor, side: int) -> NDArray[np.uint8]:
    return (colours_SLP3.unflatten(2, (side, side)) * 255).round().to(torch.uint8).numpy()


def write_sheet(found: Inspection, path: Path, *, scale: int = 8) -> None:
    """A picture with one band a block: features, motion and attention, video above depth, frames side by side."""
    from idol_model.render.bands import Band, draw

    bands = [Band(label=f"{found.clip}  t = {found.time}", rows=[list(found.frames)])]
    for block in found.blocks:
        numbers = f"L_mo {block.l_mo:.2e}   L_xattn {block.l_xattn:.2e}"
        for name in ("features", "motion", "attention"):
            streams = getattr(block, name)
            label = f"up block {block.number}, {block.side} x {block.side}: {name}, video above depth   {numbers}"
            bands.append(Band(label=label, rows=[list(stream) for stream in streams]))
    draw(bands, path, tile=16 * scale)
