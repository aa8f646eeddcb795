"""Videos of any length by one plan of windows: how many frames, which windows, how much memory."""

import gc
import itertools

import numpy as np
import pytest
import torch
from tiny_generation import SIZE, background, drawn_poses, person, shared

from idol_model.long_video import OverlapPlan, generate

PLAN = OverlapPlan(frames=8, overlap=2)


class Recorder:
    """Makes windows whose latents are their poses, and notes what it was asked for."""

    def __init__(self) -> None:
        self.windows: list[tuple[range, int]] = []

    def __call__(self, numbers, poses, known):
        self.windows.append((numbers, 0 if known is None else known.shape[2]))
        if known is not None:
            assert torch.equal(known[0, 0], poses[: known.shape[2]])
        return poses[None, None].expand(2, -1, -1, -1, -1, -1).clone()


def numbered(frames: int):
    return (torch.full((1, 1, 1), float(number)) for number in range(frames))


@pytest.mark.parametrize("frames", [*range(1, 28), 136])
@pytest.mark.parametrize("overlap", [0, 2, 7])
def test_every_pose_comes_out_once_and_in_order(frames, overlap):
    plan, make = OverlapPlan(frames=8, overlap=overlap), Recorder()
    pieces = list(generate(numbered(frames), plan, make))
    out = torch.cat(pieces, dim=2)
    assert out[0, 0].flatten().tolist() == list(range(frames))
    assert len(pieces) == len(make.windows) == plan.windows(frames)
    assert all(len(numbers) == 8 for numbers, _ in make.windows)
    assert all(known >= overlap for _, known in make.windows[1:])


def test_the_last_window_reaches_back_until_it_is_full():
    make = Recorder()
    list(generate(numbered(17), PLAN, make))
    assert make.windows == [(range(8), 0), (range(6, 14), 2), (range(9, 17), 5)]


def test_a_video_shorter_than_a_window_repeats_its_last_pose():
    seen = []

    def make(numbers, poses, known):
        seen.append(poses.flatten().tolist())
        return poses[None, None]

    assert next(generate(numbered(3), PLAN, make)).shape[2] == 3
    assert seen == [[0, 1, 2, 2, 2, 2, 2, 2]]


def test_poses_are_read_no_earlier_than_needed():
    read = []
    poses = (read.append(number) or torch.zeros(1, 1, 1) for number in itertools.count())
    windows = generate(poses, PLAN, Recorder())
    next(windows)
    assert len(read) == 8
    next(windows)
    assert len(read) == 14


def test_no_poses_are_refused():
    with pytest.raises(ValueError, match="poses: none given"):
        next(generate([], PLAN, Recorder()))


@pytest.mark.parametrize(("frames", "overlap"), [(8, 8), (8, -1), (0, 0)])
def test_an_impossible_plan_is_refused(frames, overlap):
    with pytest.raises(ValueError, match="overlap"):
        OverlapPlan(frames=frames, overlap=overlap)


def stream(frames: int):
    return shared().stream(person(), background(), iter(drawn_poses(frames)))


def test_memory_does_not_grow_with_the_length():
    def most_held(frames: int) -> int:
        counts = []
        for _ in stream(frames):
            gc.collect()
            counts.append(sum(x.numel() for x in gc.get_objects() if type(x) is torch.Tensor and x.ndim >= 4))
        return max(counts)

    assert most_held(50) == most_held(20)


def test_the_seam_between_windows_is_no_jump():
    video = np.concatenate([piece.video for piece in stream(26)]).astype(float)
    change = np.abs(np.diff(video, axis=0)).mean(axis=(1, 2, 3))
    seams = [7, 13, 19]
    inside = np.delete(change, seams)
    assert change[seams].max() <= 2 * inside.max()


def test_longer_videos_begin_like_their_first_window():
    first = next(stream(30))
    alone = shared()(person(), background(), drawn_poses(8))
    assert np.array_equal(first.video, alone.video)
    assert np.array_equal(first.depth, alone.depth)
    assert first.video.shape == (8, SIZE, SIZE, 3)
