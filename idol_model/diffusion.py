"""The diffusion process: forward noising, prediction targets, loss weights; samplers are diffusers' schedulers."""

from dataclasses import dataclass
from typing import Literal

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from idol_model.chance import Chance

FrameNoise = Literal["independent", "shared"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffusionConfig:
    """Noise schedule and prediction target. The defaults are Stable Diffusion v1.4's, as the paper uses it."""

    train_steps: int = 1000
    beta_schedule: Literal["scaled_linear", "linear", "squaredcos_cap_v2"] = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    prediction: Literal["epsilon", "v_prediction"] = "epsilon"
    zero_terminal_snr: bool = False
    """Rescale so that the last step is pure noise (Lin et al. 2024); needs v_prediction and trailing spacing."""
    spacing: Literal["leading", "trailing"] = "leading"
    frame_noise: FrameNoise = "independent"
    """Noise of the frames of a clip: each its own, as in DisCo, or one for all, which keeps still what stands still
    (the extreme of Ge et al. 2023's correlated noise). Streams always have their own (Eq. 2)."""
    min_snr: float | None = None
    """Clamp of the signal-to-noise weight (Hang et al. 2023); None weighs all steps alike, as the paper."""

    def __post_init__(self) -> None:
        if self.zero_terminal_snr and self.prediction == "epsilon":
            raise ValueError(
                "diffusion.prediction: 'epsilon' cannot be sampled from a zero-terminal-SNR schedule; "
                "set diffusion.prediction=v_prediction"
            )
        if self.zero_terminal_snr and self.spacing == "leading":
            raise ValueError(
                "diffusion.spacing: 'leading' never samples the last step, where a zero-terminal-SNR schedule is pure "
                "noise; set diffusion.spacing=trailing"
            )

    def scheduler(self) -> DDIMScheduler:
        """The deterministic sampler of this schedule; any diffusers scheduler can take its config.

        Its last step ends in the clean latent where the schedule is rescaled, and otherwise at the noise of step 0, as
        Stable Diffusion's does.
        """
        return DDIMScheduler(
            num_train_timesteps=self.train_steps,
            beta_start=self.beta_start,
            beta_end=self.beta_end,
            beta_schedule=self.beta_schedule,
            prediction_type=self.prediction,
            rescale_betas_zero_snr=self.zero_terminal_snr,
            timestep_spacing=self.spacing,
            steps_offset=1 if self.spacing == "leading" else 0,
            clip_sample=False,
            set_alpha_to_one=self.zero_terminal_snr,
        )


class Diffusion:
    """q(z_t | z_0) and what the network is asked to predict. Time is one integer a clip, shared by both streams."""

    def __init__(self, config: DiffusionConfig) -> None:
        self.config = config
        # Worked out in float64 once: Apple's GPUs have no float64, and steps need only rows of these.
        alphas = config.scheduler().alphas_cumprod.double()
        self._signal, self._noise = alphas.sqrt().float(), (1 - alphas).sqrt().float()
        self._weight = _loss_weights(config, alphas)

    def signal_and_noise(self, t_B: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), each [1, B, 1, 1, 1, 1]."""
        signal_B, noise_B = (table.to(t_B.device)[t_B] for table in (self._signal, self._noise))
        return signal_B.view(1, -1, 1, 1, 1, 1), noise_B.view(1, -1, 1, 1, 1, 1)

    def noise(self, z_SBLCHW: Tensor, chance: Chance) -> Tensor:
        """Standard normal eps shaped like ``z``."""
        streams, _, frames, *latent = z_SBLCHW.shape
        drawn = 1 if self.config.frame_noise == "shared" else frames
        eps_SBLCHW = chance.normal(streams, drawn, *latent).transpose(0, 1)
        return eps_SBLCHW.to(z_SBLCHW).expand_as(z_SBLCHW)

    def noised(self, z_SBLCHW: Tensor, eps_SBLCHW: Tensor, t_B: Tensor) -> Tensor:
        """z_t = sqrt(alpha_bar_t) z + sqrt(1 - alpha_bar_t) eps."""
        signal, noise = self.signal_and_noise(t_B)
        return signal * z_SBLCHW + noise * eps_SBLCHW

    def target(self, z_SBLCHW: Tensor, eps_SBLCHW: Tensor, t_B: Tensor) -> Tensor:
        """What the network predicts: the noise (Eq. 2), or the velocity (Salimans and Ho 2022)."""
        if self.config.prediction == "epsilon":
            return eps_SBLCHW
        signal, noise = self.signal_and_noise(t_B)
        return signal * eps_SBLCHW - noise * z_SBLCHW

    def weight(self, t_B: Tensor) -> Tensor:
        """Loss weight of each clip, [B]: 1, or min-SNR for the prediction target in use."""
        return self._weight.to(t_B.device)[t_B]


def _loss_weights(config: DiffusionConfig, alphas_T: Tensor) -> Tensor:
    """The weight of each step of the schedule, float32 [T]."""
    if config.min_snr is None:
        return torch.ones_like(alphas_T, dtype=torch.float32)
    snr = alphas_T / (1 - alphas_T)
    clamped = snr.clamp(max=config.min_snr)
    divisor = snr if config.prediction == "epsilon" else snr + 1
    return (clamped / divisor).float()
