"""Training of a recipe's own codec, before its diffusion stages: video, depth and background pictures alike."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idol_model import data, pictures, selection
from idol_model.chance import Chance
from idol_model.codecs import Codec
from idol_model.feed.clips import Clips
from idol_model.gradient_shares import GradientShares
from idol_model.model import IdolModel
from idol_model.objective import Losses
from idol_model.recipe import Calibration, CodecStage, DataConfig, Recipe, Stage
from idol_prep import colormap

_CALIBRATION_STEPS = 8
"""Batches whose pictures set the scale of the latents."""


Drawn = Callable[[int, int], None]
"""Called with (pictures drawn, pictures in all) while the pictures of a codec's training are gathered."""


def _unheard(done: int, total: int) -> None:
    del done, total


class CodecPhase:
    """Random pictures through the codec; ends with its calibration."""

    def __init__(
        self, recipe: Recipe, config: CodecStage, model: IdolModel, clips: Clips, drawn: Drawn = _unheard
    ) -> None:
        self.codec = model.codec
        self._trained = selection.select_codec(model.codec, config)
        self._calibrate = _CALIBRATION[config.calibration]
        self.stage = codec_as_stage(config)
        self.units: list[nn.Module] = []
        self.module = CodecStep(self.codec, config.edge_weight)
        self.shares = GradientShares()
        self._seed = recipe.seed
        self._pool_MHWC = _pool(clips, recipe, config.pictures, model.codec, drawn)

    @property
    def parameters(self) -> selection.Named:
        """Those of the codec that the stage trains."""
        named = [(name, parameter) for name, parameter in self.codec.named_parameters() if name in self._trained]
        return [(f"codec.{name}", parameter) for name, parameter in named]

    def batch(self, step: int, places: range) -> Tensor:
        """Pictures [len(places), C, S, S] in [-1, 1]."""
        rng = np.random.default_rng([self._seed, 2, step])
        drawn = rng.integers(len(self._pool_MHWC), size=self.stage.batch_size)
        return pictures.signed(self._pool_MHWC[drawn[places.start : places.stop]])

    def finish(self) -> None:
        """Calibrate on pictures of the first steps, where that is asked for, and freeze."""
        device = next(self.codec.parameters()).device
        steps = range(min(_CALIBRATION_STEPS, self.stage.steps))
        batches = [self.batch(step, range(self.stage.batch_size)) for step in steps]
        self._calibrate(self.codec, torch.cat(batches).to(device))
        self.codec.requires_grad_(False)


def _anew(codec: Codec, x_NCHW: Tensor) -> None:
    codec.calibrate(x_NCHW)


def _kept(codec: Codec, x_NCHW: Tensor) -> None:
    del codec, x_NCHW


_CALIBRATION: dict[Calibration, Callable[[Codec, Tensor], None]] = {"anew": _anew, "kept": _kept}


class CodecStep(nn.Module):
    """Codec and its loss as one module."""

    def __init__(self, codec: Codec, edge_weight: float) -> None:
        super().__init__()
        self.codec = codec
        self._edge_weight = edge_weight

    def forward(self, batch: Tensor, chance: Chance) -> Losses:
        """The losses of some pictures."""
        terms = self.codec.loss(batch, chance, self._edge_weight)
        return Losses(terms["total"], {name: term.detach() for name, term in terms.items() if name != "total"})


def codec_as_stage(config: CodecStage) -> Stage:
    """The codec's training in the words of a stage."""
    shared = {name: getattr(config, name) for name in ("steps", "batch_size", "lr", "warmup")}
    return dataclasses.replace(
        Stage(name="codec", steps=config.steps),
        **shared,
        frames=1,
        betas=(0.9, 0.95),
        weight_decay=0.0,
        decay="linear",
        clip_norm=1.0,
    )


def _pool(clips: Clips, recipe: Recipe, count: int, codec: Codec, drawn: Drawn) -> NDArray[np.uint8]:
    """``count`` pictures [M, S, S, C] from clips in random order: of each clip a frame, its depth, and now and then the
    background with the person cut out. Reading single frames at every step would cost more than the step."""
    rng = np.random.default_rng([recipe.seed, 4])
    pool: list[NDArray[np.uint8]] = []
    while len(pool) < count:
        for position in rng.permutation(len(clips.lengths)):
            pool += _drawn(clips, (recipe.data, codec), int(position), rng)
            drawn(min(len(pool), count), count)
            if len(pool) >= count:
                break
    return np.stack(pool[:count])


def _drawn(
    clips: Clips, how: tuple[DataConfig, Codec], position: int, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    config, codec = how
    clip, frame = clips.clip(position), int(rng.integers(clips.lengths[position]))
    video = pictures.resize_pictures(clip.frames(frame, frame + 1), config.size)[0]
    depth = colormap.encode(data.clip_depth(clip, config, frame, frame + 1), config.colormap)[0]
    drawn = codec.examples(video, depth)
    return (
        drawn
        if rng.random() < 0.75
        else drawn + codec.examples(_background(clip, config), np.full_like(depth, 127))[:1]
    )


def _background(clip: Any, config: DataConfig) -> NDArray[np.uint8]:
    """The first frame without its person; removed pixels mid grey, as the model sees them."""
    _, reference = data.clip_references(clip)
    square = pictures.resize_background(reference, config.size)
    return np.where(square[..., 3:] > 0, square[..., :3], np.uint8(127))
