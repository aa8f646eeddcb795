"""Training of a recipe's own codec, before its diffusion stages: video, depth and background pictures alike."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idol_model import data, pictures
from idol_model.codecs import ConvCodec
from idol_model.model import IdolModel
from idol_model.objective import Losses
from idol_model.phases import TrainingClips
from idol_model.recipe import CodecStage, DataConfig, Recipe, Stage
from idol_prep import colormap

_CALIBRATION_STEPS = 8
"""Batches whose pictures set the scale of the latents."""


class CodecPhase:
    """Random pictures through the codec; ends with its calibration."""

    def __init__(self, recipe: Recipe, config: CodecStage, model: IdolModel, clips: TrainingClips) -> None:
        if not isinstance(model.codec, ConvCodec):
            raise ValueError(f"codec_stage: a {recipe.codec.kind!r} codec is not trained here; set codec_stage=null")
        self.codec = model.codec.requires_grad_(True)
        self.stage = codec_as_stage(config)
        self.parameters = [(f"codec.{name}", parameter) for name, parameter in self.codec.named_parameters()]
        self.module = CodecStep(self.codec, config.edge_weight)
        self._recipe, self._clips = recipe, clips

    def batch(self, step: int) -> Tensor:
        """Pictures [batch, 3, S, S] in [-1, 1] of one step."""
        rng = np.random.default_rng([self._recipe.seed, 2, step])
        size = self.stage.batch_size
        positions = rng.integers(len(self._clips.ids), size=size)
        chosen = [self._picture(i, int(position), rng) for i, position in enumerate(positions)]
        return pictures.signed(np.stack(chosen))

    def finish(self) -> None:
        """Calibrate on pictures of the first steps and freeze."""
        device = next(self.codec.parameters()).device
        steps = range(min(_CALIBRATION_STEPS, self.stage.steps))
        self.codec.calibrate(torch.cat([self.batch(step) for step in steps]).to(device))
        self.codec.requires_grad_(False)

    def _picture(self, place: int, position: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A random frame of a clip: by turns its video, its depth, and once in eight its cut-out background."""
        clip, config = self._clips.clip(position), self._recipe.data
        frame = int(rng.integers(self._clips.lengths[position]))
        if place % 8 == 7:
            return _background(clip, config)
        if place % 2:
            return colormap.encode(data.clip_depth(clip, config, frame, frame + 1), config.colormap)[0]
        return pictures.resize_pictures(clip.frames(frame, frame + 1), config.size)[0]


class CodecStep(nn.Module):
    """Codec and its loss as one module."""

    def __init__(self, codec: ConvCodec, edge_weight: float) -> None:
        super().__init__()
        self.codec = codec
        self._edge_weight = edge_weight

    def forward(self, batch: Tensor, generator: torch.Generator) -> Losses:
        """The codec draws its noise from torch's own generator, which the trainer seeds for every step."""
        del generator
        terms = self.codec.loss(batch, self._edge_weight)
        return Losses(terms["total"], {name: term.detach() for name, term in terms.items() if name != "total"})


def codec_as_stage(config: CodecStage) -> Stage:
    """The codec's training in the words of a stage."""
    shared = {name: getattr(config, name) for name in ("steps", "batch_size", "lr", "warmup")}
    return dataclasses.replace(
        Stage(name="codec", steps=config.steps),
        **shared,
        frames=1,
        betas=(0.9, 0.99),
        weight_decay=0.0,
        decay="cosine",
        clip_norm=1.0,
    )


def _background(clip: Any, config: DataConfig) -> NDArray[np.uint8]:
    """The first frame without its person; removed pixels mid grey, as the model sees them."""
    _, reference = data.clip_references(clip)
    square = pictures.resize_background(reference, config.size)
    return np.where(square[..., 3:] > 0, square[..., :3], np.uint8(127))
