"""Eq. 2 and 7 on tiny real models, and the diffusion process they rest on."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from idol_model import recipes
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion, DiffusionConfig
from idol_model.gradient_shares import GradientShares, shares
from idol_model.model import IdolModel
from idol_model.objective import JointDenoising, ObjectiveConfig, consistency_terms
from idol_model.recipe import Recipe
from idol_model.types import ClipBatch, LatentBatch
from idol_model.unet.blocks import recompute


def model_and_batch(recipe: Recipe, frames: int = 3) -> tuple[IdolModel, LatentBatch]:
    torch.manual_seed(0)
    model = IdolModel.from_recipe(recipe)
    generator = torch.Generator().manual_seed(1)

    def picture(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, 3, 32, 32, generator=generator) * 2 - 1

    clips = 2
    pictures = ClipBatch(
        ("a", "b"),
        picture(clips, frames),
        picture(clips, frames),
        picture(clips, frames),
        picture(clips),
        picture(clips),
    )
    return model, model.encode(pictures)


def losses(recipe: Recipe, frames: int = 3):
    model, batch = model_and_batch(recipe, frames)
    objective = JointDenoising(recipe.objective, Diffusion(recipe.diffusion))
    return model, objective(model, batch, Chance.of((5,), range(len(batch.ids))))


def test_the_total_is_the_weighted_sum_of_eq_7() -> None:
    recipe = recipes.get("debug").override(["objective.w_mo=0.5", "objective.w_xattn=0.25"])
    _, result = losses(recipe)
    parts = result.parts
    expected = parts["denoise"] + 0.5 * parts["motion"] + 0.25 * parts["xattn"]
    assert result.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert parts["motion"] > 0
    assert parts["xattn"] > 0


def test_each_term_may_be_summed_over_rows() -> None:
    """Cross-attention maps have 16 tokens in every block, motion fields 16 positions in the one block there is."""
    mean = recipes.get("debug").override(["objective.motion_norm=mean", "objective.xattn_norm=mean"])
    row = recipes.get("debug").override(["objective.motion_norm=row", "objective.xattn_norm=row"])
    ours, theirs = losses(row)[1].parts, losses(mean)[1].parts
    assert ours["xattn"].item() == pytest.approx(16 * theirs["xattn"].item(), rel=1e-5)
    assert ours["motion"].item() == pytest.approx(16 * theirs["motion"].item(), rel=1e-5)
    assert ours["denoise"] == theirs["denoise"]


class Listening:
    """A model that keeps what its taps have recorded."""

    def __init__(self, model: IdolModel) -> None:
        self._model, self.tokens = model, model.tokens
        self.features: dict[Any, list[torch.Tensor]] = {}

    def __call__(self, *inputs: Any) -> torch.Tensor:
        prediction, taps = self._model(*inputs), inputs[-1]
        self.features = {kind: list(taps.features(kind)) for kind in ("cross_maps", "self_attention_input")}
        return prediction


@pytest.mark.parametrize("again", [False, True], ids=["plain", "blocks computed again"])
def test_gradient_shares_are_those_of_autograd_and_change_no_gradient(again: bool) -> None:
    recipe = recipes.get("debug").override(["objective.w_mo=0.7", "objective.w_xattn=0.2"])
    model, batch = model_and_batch(recipe)
    if again:
        recompute(model.unet)
    watching, heard, expected = GradientShares(), Listening(model), {}
    objective = JointDenoising(recipe.objective, Diffusion(recipe.diffusion), watching)
    total = objective(heard, batch, Chance.of((5,), range(2))).total
    for term in consistency_terms(recipe.objective, 2, 3):
        (feature,) = heard.features[term.taps]
        value = term.weight * term.compare(*feature.unflatten(0, (2, 2, 3)))
        own, whole = (torch.autograd.grad(loss, feature, retain_graph=True)[0] for loss in (value, total))
        expected[f"grad_share_{term.name}"] = (own.norm() / (own.norm() + (whole - own).norm())).item()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    plain = torch.autograd.grad(total, weights, allow_unused=True)
    assert watching.taken() == {}
    watching.watching = True
    (1024 * objective(model, batch, Chance.of((5,), range(2))).total).backward()  # scaled, as in fp16
    found = shares({name: value.item() for name, value in watching.taken().items()})
    assert set(found) == {"grad_share_motion", "grad_share_xattn"}
    assert found == pytest.approx(expected, rel=1e-3)
    for weight, unwatched in zip(weights, plain, strict=True):
        if unwatched is not None:
            assert weight.grad is not None
            assert torch.equal(weight.grad, 1024 * unwatched)


def test_an_unknown_share_is_left_out() -> None:
    squares = {"motion/own": math.inf, "motion/rest": math.inf, "xattn/own": 0.09, "xattn/rest": 0.01}
    assert shares(squares) == {"grad_share_xattn": pytest.approx(0.75)}
    assert shares({"motion/own": 1.0, "motion/rest": 0.0}) == {}


def test_without_min_snr_the_denoising_loss_is_the_sum_of_both_streams() -> None:
    recipe = recipes.get("debug").override(["diffusion.min_snr=null"])
    parts = losses(recipe)[1].parts
    assert parts["denoise"].item() == pytest.approx((parts["denoise_video"] + parts["denoise_depth"]).item(), rel=1e-6)


def test_every_trained_part_gets_a_gradient_and_the_codec_none() -> None:
    model, batch = model_and_batch(recipes.get("debug"))
    # Zero-initialised layers block what lies behind them, so give them weights first.
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    recipe = recipes.get("debug")
    JointDenoising(recipe.objective, Diffusion(recipe.diffusion))(
        model, batch, Chance.of((5,), range(len(batch.ids)))
    ).total.backward()
    silent = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []
    assert all(parameter.grad is None for parameter in model.codec.parameters())


def test_the_same_chance_gives_the_same_loss() -> None:
    recipe = recipes.get("debug")
    assert losses(recipe)[1].total.item() == losses(recipe)[1].total.item()


def test_motion_needs_two_frames_and_consistency_two_streams() -> None:
    config = ObjectiveConfig()
    assert [term.name for term in consistency_terms(config, streams=2, frames=8)] == ["xattn", "motion"]
    assert [term.name for term in consistency_terms(config, streams=2, frames=1)] == ["xattn"]
    assert consistency_terms(config, streams=1, frames=8) == []
    assert consistency_terms(ObjectiveConfig(w_mo=0, w_xattn=0), streams=2, frames=8) == []


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noising_and_target_agree_with_diffusers(prediction: str) -> None:
    config = DiffusionConfig(prediction=prediction)  # type: ignore[arg-type]
    z, eps = torch.randn(2, 2, 3, 3, 4, 4, 4).unbind(0)
    t = torch.tensor([3, 500, 998])
    scheduler, diffusion = config.scheduler(), Diffusion(config)
    t_all = t[None, :, None].expand(2, 3, 3).flatten()
    noised = scheduler.add_noise(z.flatten(0, 2), eps.flatten(0, 2), t_all)
    assert torch.allclose(diffusion.noised(z, eps, t).flatten(0, 2), noised, atol=1e-6)
    if prediction == "v_prediction":
        from diffusers import DDPMScheduler

        velocity = DDPMScheduler.from_config(scheduler.config).get_velocity(z.flatten(0, 2), eps.flatten(0, 2), t_all)
        assert torch.allclose(diffusion.target(z, eps, t).flatten(0, 2), velocity, atol=1e-6)
    else:
        assert diffusion.target(z, eps, t) is eps


def test_zero_terminal_snr_ends_in_pure_noise_and_min_snr_is_finite_there() -> None:
    config = DiffusionConfig(prediction="v_prediction", zero_terminal_snr=True, spacing="trailing", min_snr=5.0)
    diffusion = Diffusion(config)
    signal, noise = diffusion.signal_and_noise(torch.tensor([999]))
    assert signal.item() == pytest.approx(0, abs=1e-6)
    assert noise.item() == pytest.approx(1)
    weight = diffusion.weight(torch.tensor([0, 500, 999]))
    assert weight.isfinite().all()
    assert weight[0] == pytest.approx(5 / (1 / (1 - config.scheduler().alphas_cumprod[0]).item()), rel=1e-2)


def test_zero_terminal_snr_is_not_sampled_with_leading_steps() -> None:
    with pytest.raises(ValueError, match=r"diffusion.spacing: 'leading' never samples the last step.*=trailing"):
        DiffusionConfig(prediction="v_prediction", zero_terminal_snr=True)


def test_stage_one_leaves_temporal_layers_alone() -> None:
    """A model trained on single frames keeps its temporal layers at the identity (App. B: they are removed)."""
    recipe = dataclasses.replace(recipes.get("debug"))
    model, result = losses(recipe, frames=1)
    result.total.backward()
    temporal = [parameter for name, parameter in model.named_parameters() if ".temporal." in name]
    assert temporal
    assert all(parameter.grad is None for parameter in temporal)


def test_shared_noise_is_one_for_all_frames_and_another_for_each_stream_and_clip() -> None:
    z = torch.zeros(2, 2, 3, 4, 5, 5)
    shared = Diffusion(DiffusionConfig(frame_noise="shared")).noise(z, Chance.of((0,), range(z.shape[1])))
    own = Diffusion(DiffusionConfig()).noise(z, Chance.of((0,), range(z.shape[1])))
    assert shared.shape == own.shape == z.shape
    assert torch.equal(shared[:, :, 0], shared[:, :, 2])
    assert not torch.equal(own[:, :, 0], own[:, :, 2])
    assert not torch.equal(shared[0], shared[1])
    assert not torch.equal(shared[:, 0], shared[:, 1])


@pytest.mark.parametrize("feature", ["self_attention", "self_attention_input", "block"])
def test_the_motion_loss_may_compare_other_features(feature: str) -> None:
    recipe = recipes.get("debug").override([f"objective.motion_feature={feature}"])
    assert losses(recipe)[1].parts["motion"] > 0


def test_the_motion_losses_of_different_features_differ() -> None:
    kinds = ("self_attention", "self_attention_input", "block")
    recipes_ = (recipes.get("debug").override([f"objective.motion_feature={kind}"]) for kind in kinds)
    assert len({losses(recipe)[1].parts["motion"].item() for recipe in recipes_}) == 3
