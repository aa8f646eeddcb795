"""With its sockets empty the denoiser is diffusers' U-Net, and the pose network its ControlNet: difference 0.0."""

import dataclasses

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from network_sizes import SIZES, decoder, encoder
from torch import Tensor

from idol_model.pose_control import ControlNetConfig, PoseControlNet
from idol_model.unet import DualModalUNet, UNetConfig


def inputs(sizes: dict, pictures: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    side = 2 ** len(sizes["widths"])
    return torch.randn(pictures, 4, side, side), torch.tensor([7, 400, 999]), torch.randn(pictures, 5, sizes["tokens"])


@SIZES
def test_the_unet_with_empty_sockets_is_diffusers_own(sizes: dict) -> None:
    torch.manual_seed(0)
    reference = UNet2DConditionModel(**encoder(sizes), **decoder(sizes), attention_head_dim=sizes["heads"]).eval()
    ours = DualModalUNet.of(UNetConfig(**sizes, streams=1, temporal="none", coupling="none")).eval()
    loaded = ours.load_state_dict(reference.state_dict(), strict=False)
    assert loaded.missing_keys == ["conv_background.weight"]
    assert loaded.unexpected_keys == []
    z, t, tokens = inputs(sizes)
    with torch.no_grad():
        expected = reference(z, t, tokens).sample
        got = ours(z[None, :, None], t, tokens, torch.randn_like(z))
    assert (got[0, :, 0] - expected).abs().max() == 0.0


@SIZES
def test_the_pose_network_with_empty_sockets_is_diffusers_controlnet(sizes: dict) -> None:
    torch.manual_seed(0)
    reference = ControlNetModel(
        **encoder(sizes), attention_head_dim=sizes["heads"], conditioning_embedding_out_channels=(8, 8, 16, 16)
    ).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.normal_(std=0.05)  # the zero convolutions would hide everything
    ours = PoseControlNet.of(ControlNetConfig(**sizes, hint_widths=(8, 8, 16, 16), streams=1, temporal="none")).eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    z, t, tokens = inputs(sizes)
    pose = torch.rand(3, 3, 8 * z.shape[-1], 8 * z.shape[-1])
    with torch.no_grad():
        expected = reference(z, t, tokens, pose)
        got = ours(z[None, :, None], t, tokens, torch.randn_like(z), ours.prepare(pose[:, None]))
    assert got.mid is not None
    assert (got.mid - expected.mid_block_res_sample).abs().max() == 0.0
    for skip, theirs_ in zip(got.skips, expected.down_block_res_samples, strict=True):
        assert (skip - theirs_).abs().max() == 0.0


@SIZES
def test_the_modality_label_is_diffusers_class_embedding(sizes: dict) -> None:
    """Two streams with temporal layers and coupling at their initialisation equal the labelled 2D U-Net."""
    torch.manual_seed(0)
    reference = UNet2DConditionModel(
        **encoder(sizes), **decoder(sizes), attention_head_dim=sizes["heads"], num_class_embeds=2
    ).eval()
    ours = DualModalUNet.of(UNetConfig(**sizes)).eval()
    loaded = ours.load_state_dict(reference.state_dict(), strict=False)
    new = ("temporal.", "coupling.", "conv_background.")
    assert all(any(part in key for part in new) for key in loaded.missing_keys)
    z, _, tokens = inputs(sizes, pictures=1)
    z_SBLCHW = torch.randn(2, 1, 3, *z.shape[1:])
    with torch.no_grad():
        expected = reference(
            z_SBLCHW.flatten(0, 2),
            torch.tensor(500),
            tokens.expand(6, -1, -1),
            class_labels=torch.tensor([0, 0, 0, 1, 1, 1]),
        ).sample
        got = ours(z_SBLCHW, torch.tensor([500]), tokens, torch.randn_like(z))
    assert (got.flatten(0, 2) - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_published_parameter_counts() -> None:
    """App. B and Tab. 4: 859.52 M, 975.84 M, 417.65 M, 1393.49 M, 1410.7 M."""

    def millions(net: torch.nn.Module) -> float:
        named = ((name, p.numel()) for name, p in net.named_parameters() if name != "conv_background.weight")
        return sum(count for _, count in named) / 1e6

    with torch.device("meta"):
        control = millions(PoseControlNet.of(ControlNetConfig()))
        plain = UNetConfig(temporal="none", coupling="none")
        counts = [
            millions(DualModalUNet.of(config))
            for config in (plain, dataclasses.replace(plain, temporal="handcrafted"), UNetConfig())
        ]
    assert [round(count, 2) for count in counts[:2]] == [859.52, 975.85]
    assert round(control, 2) == 417.65
    assert round(counts[1] + control, 2) == 1393.49
    assert round(counts[2] + control, 1) == 1410.7
