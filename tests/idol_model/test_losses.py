"""Losses against closed forms and an independent plain reference of Eq. 3-6."""

import math

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from idol_model import losses
from idol_model.live_bytes import LiveBytes
from idol_model.losses import cost_volume, cross_attention_consistency, motion_consistency, motion_field


def plain_motion_field(features: Tensor, tau: float) -> Tensor:
    """Eq. 3 and 4 term by term, [L-1, P, P]."""

    def unit(frame: int, position: int) -> Tensor:
        return features[frame, position] / features[frame, position].square().sum().sqrt()

    frames, positions, _ = features.shape
    rows = []
    for frame in range(frames - 1):
        for i in range(positions):
            scores = [(unit(frame, i) @ unit(frame + 1, h) / tau).exp() for h in range(positions)]
            rows.append(torch.stack(scores) / sum(scores))
    return torch.stack(rows).view(frames - 1, positions, positions)


def test_the_motion_loss_is_the_paper_s_formula_in_value_and_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    video, depth = torch.randn(2, 3, 6, 5, generator=generator, requires_grad=True).unbind(0)
    loss = motion_consistency(video[None], depth[None])
    tau = 1 / math.sqrt(5)
    difference = plain_motion_field(video, tau) - plain_motion_field(depth, tau)
    expected = difference.square().sum() / (2 * 6 * 6)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for stream in (video, depth):
        ours, theirs = (torch.autograd.grad(value, stream, retain_graph=True)[0] for value in (loss, expected))
        assert ours.abs().sum() > 0
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-8)


def test_identical_streams_have_no_motion_loss() -> None:
    features = torch.randn(2, 4, 9, 7)
    assert motion_consistency(features, features.clone()).item() == 0


def test_scale_of_the_features_does_not_matter() -> None:
    video, depth = torch.randn(2, 1, 3, 9, 7)
    assert motion_consistency(video, depth).item() == pytest.approx(
        motion_consistency(5 * video, depth).item(), rel=1e-5
    )


def test_rows_of_the_motion_field_sum_to_one() -> None:
    field = motion_field(cost_volume(torch.randn(2, 3, 12, 4)), tau=0.1)
    assert torch.allclose(field.sum(-1), torch.ones(2, 2, 12), atol=1e-6)


def test_a_known_shift_gives_the_expected_field() -> None:
    positions = 8
    frames = torch.stack([torch.eye(positions), torch.eye(positions).roll(2, dims=0)])
    field = motion_field(cost_volume(frames[None]), tau=0.05)[0, 0]
    assert field.argmax(-1).tolist() == [(i + 2) % positions for i in range(positions)]
    expected = math.exp(20) / (math.exp(20) + positions - 1)
    assert field[0, 2].item() == pytest.approx(expected, rel=1e-6)


def test_cross_attention_loss_is_the_mean_square_and_reaches_both_streams() -> None:
    video, depth = (torch.rand(3, 2, 4, 5, requires_grad=True) for _ in range(2))
    loss = cross_attention_consistency(video, depth)
    assert loss.item() == pytest.approx(((video - depth) ** 2).mean().item(), rel=1e-6)
    loss.backward()
    assert video.grad is not None
    assert torch.allclose(video.grad, -depth.grad)  # type: ignore[operator]
    assert video.grad.any()


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="two frames"):
        cost_volume(torch.randn(1, 1, 4, 4))
    with pytest.raises(ValueError, match="differ in shape"):
        motion_consistency(torch.randn(1, 2, 4, 4), torch.randn(1, 2, 9, 4))
    with pytest.raises(ValueError, match="tau: 0"):
        motion_field(torch.randn(1, 1, 4, 4), tau=0)


def both_gradients(loss: Tensor, streams: tuple[Tensor, Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, streams))


@pytest.mark.parametrize("cells", [7 * 25, 2 * 25 * 25], ids=["rows of a pair", "several pairs"])
def test_the_motion_loss_in_blocks_is_the_whole_one(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(4)
    streams = tuple(torch.randn(2, 2, 4, 25, 8, generator=generator, requires_grad=True).unbind(0))
    whole = motion_consistency(*streams)
    expected = both_gradients(whole, streams)
    monkeypatch.setitem(losses.MAX_CELLS, "cpu", cells)
    blocks = motion_consistency(*streams)
    assert blocks.item() == pytest.approx(whole.item(), rel=1e-5)
    for ours, theirs in zip(both_gradients(blocks, streams), expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-10)


def test_blocks_cover_a_field_once_within_their_size() -> None:
    for most in (7 * 25, 25 * 25, 2 * 25 * 25, 3):
        seen = torch.zeros(5, 25, 25)
        for pairs, rows in losses._blocks(seen.shape, most):
            assert seen[pairs, rows].numel() <= max(most, 25)
            seen[pairs, rows] += 1
        assert (seen == 1).all()


def test_a_gpu_holds_more_of_a_field_at_once() -> None:
    """7 pairs of 32 x 32 positions, one window of the main recipe: one block there, seven in a CPU's cache."""
    field = torch.Size((7, 1024, 1024))
    counts = {device: len(list(losses._blocks(field, most))) for device, most in losses.MAX_CELLS.items()}
    assert counts == {"cpu": 7, "cuda": 1}


def test_the_row_norm_is_the_squared_distance_of_two_distributions() -> None:
    generator = torch.Generator().manual_seed(6)
    video, depth = torch.randn(2, 3, 6, 5, generator=generator).unbind(0)
    tau = 1 / math.sqrt(5)
    difference = plain_motion_field(video, tau) - plain_motion_field(depth, tau)
    found = motion_consistency(video[None], depth[None], norm="row").item()
    assert found == pytest.approx(difference.square().sum(-1).mean().item(), rel=1e-5)
    maps = torch.rand(2, 3, 2, 4, 5, generator=generator)
    found = cross_attention_consistency(*maps, norm="row").item()
    assert found == pytest.approx((maps[0] - maps[1]).square().sum(-1).mean().item(), rel=1e-6)


@pytest.mark.parametrize("cells", [1 << 20, 16 * 64], ids=["whole", "computed again in blocks"])
def test_the_motion_loss_is_exact_under_autocast(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams 2 % apart: what tells them apart is less than bfloat16 rounds."""
    monkeypatch.setitem(losses.MAX_CELLS, "cpu", cells)
    generator = torch.Generator().manual_seed(7)
    video, noise = torch.randn(2, 1, 3, 64, 32, generator=generator).unbind(0)
    streams = (video.requires_grad_(), (video.detach() + 0.02 * noise).requires_grad_())
    exact = torch.cat([g.flatten() for g in both_gradients(motion_consistency(*streams), streams)])
    with torch.autocast("cpu", torch.bfloat16):
        loss = motion_consistency(*streams)
        cost = cost_volume(video)
    assert loss.dtype == cost.dtype == torch.float32
    cast = torch.cat([g.flatten() for g in both_gradients(loss, streams)])
    assert functional.cosine_similarity(exact, cast, dim=0) > 0.999
    assert torch.equal(cost, cost_volume(video))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_change_the_motion_loss_little(dtype: torch.dtype) -> None:
    video, depth = torch.randn(2, 1, 3, 16, 8, generator=torch.Generator().manual_seed(5))
    exact = motion_consistency(video, depth).item()
    assert motion_consistency(video.to(dtype), depth.to(dtype)).item() == pytest.approx(exact, rel=2e-2)


def test_the_motion_loss_at_32_x_32_takes_a_quarter_of_the_plain_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(cells: int) -> int:
        monkeypatch.setitem(losses.MAX_CELLS, "cpu", cells)
        video, depth = (torch.empty(1, 8, 1024, 32, requires_grad=True) for _ in range(2))
        with LiveBytes() as memory:
            motion_consistency(video, depth).backward()
        return memory.most

    with FakeTensorMode():
        assert peak(losses.MAX_CELLS["cpu"]) <= peak(1 << 40) / 4
