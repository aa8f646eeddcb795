"""Sockets of the denoiser: identity at the start, and information flows only where the paper says."""

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from idol_model.pose_control import ControlNetConfig, PoseControlNet
from idol_model.types import Layout
from idol_model.unet import DualModalUNet, Taps, UNetConfig, temporal
from idol_model.unet.coupling import RandomShiftAttention
from idol_model.unet.cross_maps import CROSS_MAPS, maps
from idol_model.unet.sharing import shared_name

SIZES = {"widths": (16, 32), "depth": 1, "attention": (True, False), "tokens": 12, "heads": 2, "groups": 4}


SOCKETS: list[dict[str, str]] = [
    {"temporal": "animatediff"},
    {"temporal": "animatediff_v3"},
    {"coupling": "random_shift"},
    {"norm": "clip", "temporal": "none"},
    {"sharing": "separate"},
]


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


@pytest.mark.parametrize("sockets", SOCKETS, ids=str)
def test_every_socket_starts_as_the_identity_on_single_frames(sockets: dict[str, str]) -> None:
    full, bare = network(**sockets), network(temporal="none", coupling="none")
    bare.load_state_dict({shared_name(name): value for name, value in full.state_dict().items()}, strict=False)
    z = torch.randn(2, 1, 1, 4, 8, 8)
    assert torch.allclose(call(full, z), call(bare, z), atol=1e-6)


@pytest.mark.parametrize("kind", ["animatediff", "animatediff_v3"])
def test_motion_modules_start_as_the_identity_on_clips_and_then_join_the_frames_of_a_stream(kind: str) -> None:
    full, bare = network(temporal=kind, coupling="none"), network(temporal="none", coupling="none")
    bare.load_state_dict(full.state_dict(), strict=False)
    z = torch.randn(2, 1, 3, 4, 8, 8)
    assert torch.allclose(call(full, z), call(bare, z), atol=1e-6)
    assert changed(awake(full), stream=1, frame=2).tolist() == [[False] * 3, [True] * 3]


def test_the_published_v3_adapter_has_no_module_in_the_middle() -> None:
    with_middle, without = (dict(network(temporal=k).named_parameters()) for k in ("animatediff", "animatediff_v3"))
    assert {n.split(".motion")[0] for n in with_middle.keys() - without.keys()} == {"mid_block"}


def test_random_shift_lets_every_frame_of_a_stream_see_the_others_window() -> None:
    net = awake(network(coupling="random_shift", temporal="none"))
    assert changed(net, stream=0, frame=1).tolist() == [[True] * 3, [True] * 3]
    coupling = RandomShiftAttention(16, 2).eval()
    assert coupling._seen(6, torch.device("cpu")).tolist()[:3] == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    coupling.train()
    torch.manual_seed(0)
    starts = {int(coupling._seen(6, torch.device("cpu"))[0, 0]) for _ in range(64)}
    assert starts == set(range(6))


def test_separate_networks_with_equal_weights_are_the_shared_one() -> None:
    shared, apart = awake(network()), network(sharing="separate")
    with torch.no_grad():
        shared.class_embedding.weight.zero_()
        own = shared.state_dict()
        apart.load_state_dict({name: own[shared_name(name)] for name in apart.state_dict()}, strict=True)
    z = torch.randn(2, 2, 3, 4, 8, 8)
    assert torch.allclose(call(apart, z), call(shared, z), atol=1e-5)


def test_separate_networks_without_coupling_learn_apart() -> None:
    net = awake(network(sharing="separate", coupling="none"))
    z = torch.randn(2, 1, 3, 4, 8, 8)
    net(z, torch.tensor([5]), torch.randn(1, 4, 12), torch.randn(1, 4, 8, 8))[0].square().mean().backward()
    touched = {name: bool(p.grad is not None and p.grad.any()) for name, p in net.named_parameters()}
    assert all(reached == (".streams.0." in name) for name, reached in touched.items())
    assert changed(net, stream=0, frame=1).tolist() == [[True] * 3, [False] * 3]


def test_separate_pose_networks_read_the_same_pose() -> None:
    config = ControlNetConfig(**SIZES, hint_widths=(4, 8), sharing="separate")  # type: ignore[arg-type]
    net = PoseControlNet.of(config).eval()
    hint = net.prepare(torch.rand(1, 3, 3, 16, 16))
    assert hint.shape[:3] == (2, 1, 3)
    assert torch.equal(hint[0], hint[1])
    control = net(
        torch.randn(2, 1, 3, 4, 8, 8), torch.tensor([3]), torch.randn(1, 4, 12), torch.randn(1, 4, 8, 8), hint
    )
    assert not any(skip.any() for skip in control.skips)


def test_pooled_statistics_join_frames_without_any_temporal_layer() -> None:
    net = awake(network(norm="clip", temporal="none", coupling="none"))
    assert changed(net, stream=0, frame=1).tolist() == [[True] * 3, [False] * 3]


def test_one_map_for_all_streams() -> None:
    for kind, choose in (("averaged", lambda m: m.mean(0)), ("video", lambda m: m[0])):
        torch.manual_seed(5)
        attention = Attention(8, cross_attention_dim=6, heads=2, dim_head=4)
        x, tokens, layout = torch.randn(4, 9, 8), torch.randn(2, 5, 6), Layout(2, 1, 2)
        seen: list[Tensor] = []
        with torch.no_grad():
            got = CROSS_MAPS[kind].attend(attention, x, tokens, layout, seen.append)
            own, value = maps(attention, x, tokens, layout)
        expected = choose(own.unflatten(0, (2, 2))).repeat(2, 1, 1, 1)
        assert torch.equal(seen[0], expected)
        merged = (expected @ value).transpose(1, 2).flatten(2)
        assert torch.allclose(got, attention.to_out[0](merged), atol=1e-6)


def test_each_picture_sees_the_tokens_of_its_own_clip_and_stream() -> None:
    torch.manual_seed(6)
    attention = Attention(8, cross_attention_dim=6, heads=2, dim_head=4)
    x, tokens, layout = torch.randn(12, 9, 8), torch.randn(4, 5, 6), Layout(2, 2, 3)
    with torch.no_grad():
        fused = CROSS_MAPS["independent"].attend(attention, x, tokens, layout, None)
        tapped = CROSS_MAPS["independent"].attend(attention, x, tokens, layout, [].append)
        alone = torch.cat([attention(x[i : i + 1], tokens[i // 3 : i // 3 + 1]) for i in range(12)])
    assert torch.allclose(fused, alone, atol=1e-6)
    assert torch.allclose(tapped, alone, atol=1e-6)


def test_maps_are_exact_under_autocast() -> None:
    torch.manual_seed(6)
    attention = Attention(8, cross_attention_dim=6, heads=2, dim_head=4)
    x, tokens, layout = torch.randn(12, 9, 8), torch.randn(4, 5, 6), Layout(2, 2, 3)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        map_NKPT, value_NKTD = maps(attention, x, tokens, layout)
        seen = CROSS_MAPS["averaged"].attend(attention, x, tokens, layout, None)
        query, key = attention.to_q(x).float(), attention.to_k(tokens).float().repeat_interleave(3, 0)
    assert value_NKTD.dtype == seen.dtype == torch.bfloat16
    score = torch.einsum("npkd,ntkd->nkpt", query.unflatten(-1, (2, 4)), key.unflatten(-1, (2, 4))) / 2
    torch.testing.assert_close(map_NKPT, score.softmax(-1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["handcrafted", "animatediff"])
def test_frames_attend_in_as_many_calls_as_the_batch_needs(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = awake(network(temporal=kind, coupling="none"))
    z = torch.randn(2, 2, 3, 4, 8, 8)
    whole, seen = call(net, z), []
    monkeypatch.setattr(temporal, "MAX_SEQUENCES", 100)  # of 4 * 64
    frames_attend = {"handcrafted": "temporal.attn", "animatediff": "motion_modules.0.transformer_blocks.0.attn1"}[kind]
    for name, module in net.named_modules():
        if name.endswith(frames_attend):
            module.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    torch.testing.assert_close(call(net, z), whole, rtol=1e-5, atol=1e-5)
    assert seen
    assert max(seen) <= 100


def test_a_shared_map_joins_the_streams_of_a_frame() -> None:
    net = awake(network(cross_maps="video", temporal="none", coupling="none"))
    assert changed(net, stream=0, frame=1).tolist() == [[False, True, False], [False, True, False]]
    assert changed(net, stream=1, frame=1).tolist() == [[False] * 3, [False, True, False]]


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
    spoken = control(
        torch.randn(2, 1, 2, 4, 8, 8), torch.tensor([9]), torch.randn(1, 4, 12), torch.randn(1, 4, 8, 8), hint
    )
    assert spoken.mid is not None
    assert not any(feature.any() for feature in (spoken.mid, *spoken.skips))


def test_save_and_load_round_trip(tmp_path) -> None:
    net = awake(network())
    net.save_pretrained(tmp_path)
    again = DualModalUNet.from_pretrained(tmp_path).eval()
    z = torch.randn(2, 1, 2, 4, 8, 8)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())
    assert torch.allclose(call(net, z), call(again, z), atol=1e-6)


def test_the_pose_network_may_see_the_background_too() -> None:
    config = ControlNetConfig(**SIZES, hint_widths=(8, 8, 8, 8), background="input")  # type: ignore[arg-type]
    net = PoseControlNet.of(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.1)
        hint = net.prepare(torch.rand(1, 2, 3, 64, 64))
        z, t, tokens = torch.randn(2, 1, 2, 4, 8, 8), torch.tensor([9]), torch.randn(1, 4, 12)
        plain, other = (net(z, t, tokens, background, hint) for background in torch.randn(2, 1, 4, 8, 8))
    assert plain.mid is not None
    assert not torch.equal(plain.mid, other.mid)
