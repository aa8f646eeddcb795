"""The denoising loop against closed forms, and its promises about seeds and guidance."""

from dataclasses import replace

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler
from tiny_generation import shared

from idol_model.diffusion import DiffusionConfig
from idol_model.sampling import Conditions, Denoiser, Start, Tokens, denoise, frame_noise

SHAPE = (2, 4, 4, 4)


def start(seed: int = 0, frames: range = range(8)) -> Start:
    return Start.of(seed, frames, SHAPE, like=torch.zeros(1))


class PerfectDenoiser:
    """Knows the answer: the noise, or the velocity, that leads from z to ``truth``."""

    def __init__(self, truth: torch.Tensor, scheduler) -> None:
        self.truth, self.scheduler, self.seen = truth, scheduler, []

    def __call__(self, z, t):
        self.seen.append(z.clone())
        alpha = self.scheduler.alphas_cumprod[int(t)]
        signal, noise = alpha.sqrt(), (1 - alpha).sqrt()
        eps = (z - signal * self.truth) / noise.clamp(min=1e-6)
        return eps if self.scheduler.config.prediction_type == "epsilon" else signal * eps - noise * self.truth


@pytest.mark.parametrize(
    "config",
    [DiffusionConfig(), DiffusionConfig(prediction="v_prediction", zero_terminal_snr=True, spacing="trailing")],
    ids=["epsilon", "velocity, zero terminal SNR"],
)
def test_a_perfect_prediction_is_followed_to_the_truth(config):
    scheduler = config.scheduler()
    truth = torch.randn(2, 1, 8, 4, 4, 4)
    z = denoise(PerfectDenoiser(truth, scheduler), scheduler, start(), 10)
    # Stable Diffusion's last step ends at the first time of the schedule, not quite at zero noise.
    miss = {"epsilon": 0.15, "v_prediction": 1e-5}[config.prediction]
    torch.testing.assert_close(z, truth, atol=miss, rtol=0)


def test_noise_belongs_to_the_frame_and_not_to_the_window():
    whole, part = frame_noise(3, range(0, 20), SHAPE), frame_noise(3, range(6, 14), SHAPE)
    assert torch.equal(whole[:, :, 6:14], part)


def test_noise_is_independent_between_streams_frames_and_seeds():
    noise = frame_noise(0, range(64), (2, 4, 8, 8))
    flat = noise.flatten(3).flatten(0, 2)
    correlation = torch.corrcoef(flat) - torch.eye(len(flat))
    assert correlation.abs().max() < 0.4
    assert correlation.mean().abs() < 0.01
    assert noise.mean().abs() < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert not torch.equal(noise, frame_noise(1, range(64), (2, 4, 8, 8)))


def test_known_frames_are_noised_to_each_step_and_returned_unchanged():
    scheduler = DiffusionConfig().scheduler()
    truth, known = torch.randn(2, 1, 8, 4, 4, 4), torch.randn(2, 1, 3, 4, 4, 4)
    denoiser, tied = PerfectDenoiser(truth, scheduler), replace(start(), known_SBLCHW=known)
    z = denoise(denoiser, scheduler, tied, 5)
    assert torch.equal(z[:, :, :3], known)
    for seen, t in zip(denoiser.seen, scheduler.timesteps, strict=True):
        expected = scheduler.add_noise(known, tied.noise_SBLCHW[:, :, :3], t.reshape(1))
        assert torch.equal(seen[:, :, :3], expected)


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, UniPCMultistepScheduler])
def test_any_scheduler_of_diffusers_works_and_repeats(kind):
    scheduler = kind.from_config(DiffusionConfig().scheduler().config)
    denoiser = real_denoiser(1.5)
    first, second = (denoise(denoiser, scheduler, start(), 4) for _ in range(2))
    assert torch.equal(first, second)
    assert first.isfinite().all()


def test_every_step_is_told():
    told = []
    denoise(real_denoiser(1.0), DiffusionConfig().scheduler(), start(), 4, lambda *at: told.append(at))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_outside_the_schedule_are_refused(steps):
    with pytest.raises(ValueError, match=f"steps: {steps} is outside 1 to 1000"):
        denoise(real_denoiser(1.0), DiffusionConfig().scheduler(), start(), steps)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed: -1"):
        start(seed=-1)


def conditions() -> Conditions:
    pipe, generator = shared(), torch.Generator().manual_seed(1)
    tokens = Tokens.of(pipe.foreground, torch.randn(1, 3, 32, 32, generator=generator))
    background = torch.randn(1, 4, 4, 4, generator=generator)
    pose = torch.rand(1, 8, 3, 32, 32, generator=generator)
    return Conditions(tokens=tokens, background_BCHW=background, pose_BLCHW=pose)


def real_denoiser(guidance: float, given: Conditions | None = None) -> Denoiser:
    with torch.no_grad():
        return Denoiser(shared().unet, shared().pose_control, given or conditions(), guidance)


@torch.no_grad()
def test_guidance_is_the_extrapolation_from_the_foreground_left_out():
    z, t, given = start().noise_SBLCHW, torch.tensor(500), conditions()
    left_out = replace(given, tokens=replace(given.tokens, given_BTD=given.tokens.null_BTD))
    with_foreground, without = (real_denoiser(1.0, case)(z, t) for case in (given, left_out))
    assert (with_foreground - without).abs().max() > 1e-4
    expected = without + 2.5 * (with_foreground - without)
    torch.testing.assert_close(real_denoiser(2.5, given)(z, t), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_one_call_of_each_network_a_step_and_one_reading_of_the_pose():
    pipe, calls = shared(), []
    networks = {"unet": pipe.unet, "pose": pipe.pose_control, "hint": pipe.pose_control.controlnet_cond_embedding}
    hooks = [net.register_forward_hook(lambda *_, name=name: calls.append(name)) for name, net in networks.items()]
    try:
        denoise(real_denoiser(1.5), DiffusionConfig().scheduler(), start(), 3)
    finally:
        for hook in hooks:
            hook.remove()
    assert calls == ["hint"] + ["pose", "unet"] * 3


def test_shared_noise_is_that_of_frame_zero_in_every_window() -> None:
    own, shared = frame_noise(3, range(0, 4), SHAPE), frame_noise(3, range(6, 10), SHAPE, "shared")
    assert shared.shape == own.shape
    assert all(torch.equal(shared[:, :, i], own[:, :, 0]) for i in range(4))
