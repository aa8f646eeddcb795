"""With AnimateDiff's motion modules, or a T2I-Adapter, in its sockets the denoiser is diffusers' own."""

import torch
from diffusers import MotionAdapter, T2IAdapter, UNet2DConditionModel, UNetMotionModel
from network_sizes import SIZES, decoder, encoder
from torch import Tensor

from idol_model.pose_control import PoseAdapter, T2IAdapterConfig
from idol_model.unet import DualModalUNet, UNetConfig

FRAMES = 3


def drawn(net: torch.nn.Module) -> torch.nn.Module:
    """No parameter left at 0 or 1, so that nothing hides behind an identity."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.1)
    return net.eval()


def close(got: Tensor, expected: Tensor) -> bool:
    return bool((got - expected).abs().max() <= 1e-6 * expected.abs().max())


@SIZES
def test_motion_modules_are_those_of_diffusers_motion_unet(sizes: dict) -> None:
    torch.manual_seed(0)
    adapter = MotionAdapter(
        sizes["widths"],
        motion_layers_per_block=sizes["depth"],
        motion_num_attention_heads=sizes["heads"],
        motion_norm_num_groups=sizes["groups"],
    )
    flat = UNet2DConditionModel(**encoder(sizes), **decoder(sizes), attention_head_dim=sizes["heads"])
    reference = drawn(UNetMotionModel.from_unet2d(drawn(flat), drawn(adapter)))
    ours = DualModalUNet.of(UNetConfig(**sizes, streams=1, temporal="animatediff", coupling="none")).eval()
    loaded = ours.load_state_dict(reference.state_dict(), strict=False)
    assert loaded.missing_keys == ["conv_background.weight"]
    assert loaded.unexpected_keys == []
    side = 2 ** len(sizes["widths"])
    z_BLCHW, tokens = torch.randn(2, FRAMES, 4, side, side), torch.randn(2, 5, sizes["tokens"])
    with torch.no_grad():
        expected = reference(
            z_BLCHW.transpose(1, 2), torch.tensor(400), tokens.repeat_interleave(FRAMES, 0)
        ).sample.transpose(1, 2)
        got = ours(z_BLCHW[None], torch.tensor([400, 400]), tokens, torch.randn(2, 4, side, side))[0]
    assert close(got, expected)


@SIZES
def test_the_pose_adapter_is_diffusers_t2i_adapter(sizes: dict) -> None:
    torch.manual_seed(0)
    flat = UNet2DConditionModel(**encoder(sizes), **decoder(sizes), attention_head_dim=sizes["heads"])
    reference = drawn(flat)
    levels = len(sizes["widths"])
    adapter = drawn(T2IAdapter(3, sizes["widths"], sizes["depth"], 8))
    pose_control = PoseAdapter.of(T2IAdapterConfig(widths=sizes["widths"], depth=sizes["depth"])).eval()
    pose_control.load_state_dict(adapter.state_dict(), strict=True)
    ours = DualModalUNet.of(UNetConfig(**sizes, streams=1, temporal="none", coupling="none")).eval()
    ours.load_state_dict(reference.state_dict(), strict=False)
    side = 2**levels
    z, t, tokens = torch.randn(FRAMES, 4, side, side), torch.tensor([1, 500, 900]), torch.randn(3, 5, sizes["tokens"])
    pose = torch.rand(FRAMES, 3, 8 * side, 8 * side)
    with torch.no_grad():
        expected = reference(z, t, tokens, down_intrablock_additional_residuals=adapter(pose)).sample
        control = pose_control(z[None, :, None], t, tokens, torch.randn_like(z), pose_control.prepare(pose[:, None]))
        got = ours(z[None, :, None], t, tokens, torch.randn_like(z), control)[0, :, 0]
    assert close(got, expected)
