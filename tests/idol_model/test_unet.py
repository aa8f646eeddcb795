"""Sockets of the denoiser: identity at the start, and information flows only where the paper says."""

import torch
from torch import Tensor

from idol_model.pose_control import ControlNetConfig, PoseControlNet
from idol_model.unet import DualModalUNet, Taps, UNetConfig

SIZES = {"widths": (16, 32), "depth": 1, "attention": (True, False), "tokens": 12, "heads": 2, "groups": 4}


def network(**sockets: str) -> DualModalUNet:
    torch.manual_seed(1)
    return DualModalUNet.of(UNetConfig(**SIZES, **sockets)).eval()  # type: ignore[arg-type]


def call(net: DualModalUNet, z_SBLCHW: Tensor, taps: Taps | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    clips = z_SBLCHW.shape[1]
    tokens = torch.randn(clips, 4, 12, generator=generator)
    background = torch.randn(clips, 4, 8, 8, generator=generator)
    with torch.no_grad():
        return net(z_SBLCHW, torch.full((clips,), 300), tokens, background, **({"taps": taps} if taps else {}))


def awake(net: DualModalUNet) -> DualModalUNet:
    """Zero-initialised layers given weights, so that what flows can be seen."""
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return net


def changed(net: DualModalUNet, stream: int, frame: int) -> Tensor:
    """Which outputs [S, L] move when one frame of one stream of the first clip is disturbed."""
    z = torch.randn(2, 2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    disturbed = z.clone()
    disturbed[stream, 0, frame] += 1
    difference = (call(net, disturbed) - call(net, z)).abs().amax(dim=(3, 4, 5))
    assert not difference[:, 1].any(), "clips of a batch must not see each other"
    return difference[:, 0] > 0


def test_temporal_layers_and_coupling_start_as_the_identity() -> None:
    full, bare = network(), network(temporal="none", coupling="none")
    bare.load_state_dict(full.state_dict(), strict=False)
    z = torch.randn(2, 1, 3, 4, 8, 8)
    assert torch.allclose(call(full, z), call(bare, z), atol=1e-6)


def test_without_temporal_layers_and_coupling_nothing_leaves_its_frame_and_stream() -> None:
    reached = changed(awake(network(temporal="none", coupling="none")), stream=0, frame=1)
    assert reached.tolist() == [[False, True, False], [False, False, False]]


def test_coupling_joins_the_streams_of_a_frame_and_only_those() -> None:
    reached = changed(awake(network(temporal="none")), stream=0, frame=1)
    assert reached.tolist() == [[False, True, False], [False, True, False]]


def test_temporal_layers_join_the_frames_of_a_stream_and_only_those() -> None:
    reached = changed(awake(network(coupling="none")), stream=1, frame=2)
    assert reached.tolist() == [[False] * 3, [True] * 3]


def test_one_frame_passes_the_temporal_layers_unchanged() -> None:
    full = awake(network(coupling="none"))
    bare = network(temporal="none", coupling="none")
    bare.load_state_dict(full.state_dict(), strict=False)
    z = torch.randn(2, 2, 1, 4, 8, 8)
    assert torch.equal(call(full, z), call(bare, z))


def test_taps_record_what_was_asked_for_and_change_nothing() -> None:
    net = awake(network())
    z = torch.randn(2, 1, 3, 4, 8, 8)
    taps = Taps("self_attention", "cross_maps")
    assert torch.allclose(call(net, z, taps), call(net, z), atol=1e-5)
    (features,), (maps,) = taps.features("self_attention"), taps.features("cross_maps")
    assert features.shape == (6, 64, 16)
    assert maps.shape == (6, 2, 64, 4)
    assert torch.allclose(maps.sum(-1), torch.ones(6, 2, 64), atol=1e-6)


def test_odd_latent_sizes_come_back_as_they_were() -> None:
    z = torch.randn(2, 1, 1, 4, 7, 9)
    net = network()
    with torch.no_grad():
        out = net(z, torch.tensor([5]), torch.randn(1, 4, 12), torch.randn(1, 4, 7, 9))
    assert out.shape == z.shape


def test_a_fresh_pose_network_adds_nothing() -> None:
    control = PoseControlNet.of(ControlNetConfig(**SIZES, hint_widths=(8, 8, 8, 8)))  # type: ignore[arg-type]
    hint = control.prepare(torch.rand(1, 2, 3, 64, 64))
    spoken = control(torch.randn(2, 1, 2, 4, 8, 8), torch.tensor([9]), torch.randn(1, 4, 12), hint)
    assert spoken.mid is not None
    assert not any(feature.any() for feature in (spoken.mid, *spoken.skips))


def test_save_and_load_round_trip(tmp_path) -> None:
    net = awake(network())
    net.save_pretrained(tmp_path)
    again = DualModalUNet.from_pretrained(tmp_path).eval()
    z = torch.randn(2, 1, 2, 4, 8, 8)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())
    assert torch.allclose(call(net, z), call(again, z), atol=1e-6)
