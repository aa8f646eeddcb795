"""The denoising loop: both streams at once, any diffusers scheduler, classifier-free guidance on the foreground.

The recipe's scheduler is deterministic DDIM (eta 0), as in DisCo; it also carries the prediction type and the spacing,
so nothing here asks which they are.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from idol_model.diffusion import FrameNoise
from idol_model.foreground import Foreground
from idol_model.pose_control import PoseControl
from idol_model.unet import DualModalUNet

OnStep = Callable[[int, int], None]
"""Called after each denoising step with (steps done, steps in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How a model is sampled where the caller does not say."""

    steps: int = 50
    guidance: float = 1.0
    """Classifier-free guidance on the foreground; 1 is none. More needs `DataConfig.foreground_dropout` in training."""
    overlap: int = 2
    """Frames that consecutive windows of a long video share."""
    frames: int | None = None
    """Frames of a window; None takes those of the longest stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Foreground tokens [B, T, D]: of the given foreground, and of the one left out (for guidance)."""

    given_BTD: Tensor
    null_BTD: Tensor

    @classmethod
    def of(cls, encoder: Foreground, foreground_BCHW: Tensor) -> "Tokens":
        """Encode once for a whole video."""
        return cls(given_BTD=encoder(foreground_BCHW), null_BTD=encoder.null(foreground_BCHW))


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What the denoising of one window is told. The background is a latent, the pose what the network reads of it."""

    tokens: Tokens
    background_BCHW: Tensor
    pose_BLCHW: Tensor


class Denoiser:
    """epsilon_theta with guidance, for one window: calling it gives the prediction for ``z`` at time ``t``.

    The foreground alone is dropped in the second half of the batch; pose and background speak in both (as in DisCo).
    The pose pictures are read once, and each step costs one call of the pose network and one of the U-Net.
    Networks compute in the type of the conditions; ``z`` and the prediction keep theirs.
    """

    def __init__(self, unet: DualModalUNet, pose_control: PoseControl, conditions: Conditions, guidance: float) -> None:
        self._unet, self._pose_control, self._guidance = unet, pose_control, guidance
        halves = 1 if guidance == 1.0 else 2
        tokens = (conditions.tokens.given_BTD, conditions.tokens.null_BTD)[:halves]
        self._tokens_BTD = torch.cat(tokens)
        self._background_BCHW = _repeated(conditions.background_BCHW, halves)
        self._hint = pose_control.prepare(_repeated(conditions.pose_BLCHW, halves))

    def __call__(self, z_SBLCHW: Tensor, t: Tensor) -> Tensor:
        """The guided prediction u + g (c - u), shaped like ``z_SBLCHW``."""
        clips, outer = z_SBLCHW.shape[1], z_SBLCHW.dtype
        z_SBLCHW = _repeated(z_SBLCHW.to(self._background_BCHW.dtype), len(self._tokens_BTD) // clips, dim=1)
        t_B = t.to(z_SBLCHW.device).expand(z_SBLCHW.shape[1])
        control = self._pose_control(z_SBLCHW, t_B, self._tokens_BTD, self._background_BCHW, self._hint)
        prediction = self._unet(z_SBLCHW, t_B, self._tokens_BTD, self._background_BCHW, control).to(outer)
        if len(self._tokens_BTD) == clips:
            return prediction
        given, null = prediction.chunk(2, dim=1)
        return null + self._guidance * (given - null)


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Where the denoising of one window starts from.

    ``known_SBLCHW`` holds latents of the window's first frames that are decided already, if any. Deterministic
    schedulers ignore the generator; the others draw from it.
    """

    noise_SBLCHW: Tensor
    generator: torch.Generator
    known_SBLCHW: Tensor | None = None

    @classmethod
    def of(
        cls, seed: int, frames: range, shape_SCHW: tuple[int, ...], *, like: Tensor, kind: FrameNoise = "independent"
    ) -> "Start":
        """Seeded noise of the video's frames number ``frames``, float32 on the device of ``like``.

        Latents stay float32 through all steps, whatever the networks compute in: each step adds a little to a sum, and
        fifty roundings to bfloat16 would add up.
        """
        noise = frame_noise(seed, frames, shape_SCHW, kind).to(like.device)
        return cls(noise_SBLCHW=noise, generator=_generator(seed, frames.start, 1))


def frame_noise(seed: int, frames: range, shape_SCHW: tuple[int, ...], kind: FrameNoise = "independent") -> Tensor:
    """Standard normal noise [S, 1, L, C, H, W] of the video's frames number ``frames``, drawn on the CPU.

    A frame's noise depends on the seed and the frame's own number alone, so windows that share a frame share its noise,
    whatever the device and however the video is cut. Streams are independent of each other, and so are frames unless
    ``kind`` is ``shared``: then all have the noise of frame 0.
    """
    numbers = _NUMBERS[kind](frames)
    drawn = [torch.randn(shape_SCHW, generator=_generator(seed, number, 0)) for number in numbers]
    return torch.stack(drawn, dim=1).unsqueeze(1)


_NUMBERS: dict[FrameNoise, Callable[[range], Sequence[int]]] = {
    "independent": lambda frames: frames,
    "shared": lambda frames: [0] * len(frames),
}
"""Whose noise each frame has."""


@torch.no_grad()
def denoise(denoiser: Denoiser, scheduler: Any, start: Start, steps: int, on_step: OnStep | None = None) -> Tensor:
    """From noise to latents [S, B, L, C, H, W], in ``steps`` steps of ``scheduler`` (any of diffusers').

    Known first frames are set, before every step, to themselves at that step's noise level; the rest of the window
    sees them through the temporal layers and continues them. The result holds them unchanged.

    Raises:
        ValueError: ``steps`` is below 1 or above the schedule's length.
    """
    most = scheduler.config.num_train_timesteps
    if not 1 <= steps <= most:
        raise ValueError(f"steps: {steps} is outside 1 to {most}, the length of the noise schedule")
    scheduler.set_timesteps(steps, device=start.noise_SBLCHW.device)
    z_SBLCHW = start.noise_SBLCHW * float(scheduler.init_noise_sigma)
    for step, t in enumerate(scheduler.timesteps):
        z_SBLCHW = _tied(z_SBLCHW, start, scheduler, t)
        prediction = denoiser(scheduler.scale_model_input(z_SBLCHW, t), t)
        z_SBLCHW = _step(scheduler, prediction, t, z_SBLCHW, start.generator)
        if on_step is not None:
            on_step(step + 1, len(scheduler.timesteps))
    return _with_known(z_SBLCHW, start.known_SBLCHW)


def _tied(z_SBLCHW: Tensor, start: Start, scheduler: Any, t: Tensor) -> Tensor:
    """``z`` with the known frames at the noise level of ``t``."""
    known = start.known_SBLCHW
    if known is None:
        return z_SBLCHW
    noise = start.noise_SBLCHW[:, :, : known.shape[2]]
    return _with_known(z_SBLCHW, scheduler.add_noise(known, noise, t.reshape(1)))


def _with_known(z_SBLCHW: Tensor, known_SBLCHW: Tensor | None) -> Tensor:
    if known_SBLCHW is None:
        return z_SBLCHW
    return torch.cat([known_SBLCHW, z_SBLCHW[:, :, known_SBLCHW.shape[2] :]], dim=2)


def _step(scheduler: Any, prediction: Tensor, t: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:
    """One scheduler step on the folded batch, the shape that every scheduler knows."""
    takes = "generator" in inspect.signature(scheduler.step).parameters
    extra = {"generator": generator} if takes else {}
    folded = scheduler.step(prediction.flatten(0, 2), t, z.flatten(0, 2), **extra, return_dict=False)[0]
    return folded.unflatten(0, z.shape[:3])


def _repeated(x: Tensor, times: int, dim: int = 0) -> Tensor:
    return torch.cat([x] * times, dim=dim)


def _generator(seed: int, frame: int, purpose: int) -> torch.Generator:
    """An independent stream of random numbers for each seed, frame and purpose."""
    if seed < 0:
        raise ValueError(f"seed: {seed} is negative; use 0 or more")
    (state,) = np.random.SeedSequence([seed, frame, purpose]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state) >> 1)
