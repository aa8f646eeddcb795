"""From a prepared clip to a batch: same crop, same colours, masks after normalisation."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_training import dancers

from idol_model import data
from idol_model.recipe import DataConfig
from idol_prep import colormap
from idol_prep.schema import Clip, Dataset

LOOK = SimpleNamespace(input_size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
CONFIG = DataConfig(size=32)


@pytest.fixture
def clip() -> Clip:
    dataset = Dataset.open(dancers())
    return dataset.clip(dataset.records("train")[0].id)


def test_a_window_holds_the_frames_it_names(clip):
    window = data.clip_inputs(clip, CONFIG, start=2, stop=7)
    assert np.array_equal(window.frames, clip.frames(2, 7))
    assert np.array_equal(window.poses, data.clip_inputs(clip, CONFIG).poses[2:7])
    assert window.poses.any(axis=(1, 2, 3)).all()
    assert np.array_equal(window.depth, data.clip_inputs(clip, CONFIG).depth[2:7])


def test_references_are_the_first_frame_cut_in_two(clip):
    window = data.clip_inputs(clip, CONFIG, start=4, stop=6)
    person = clip.mask(0, 1)[0] > 0
    first = clip.frames(0, 1)[0]
    assert np.array_equal(window.foreground[..., 3] > 0, person)
    assert np.array_equal(window.background[..., 3] > 0, ~person)
    assert np.array_equal(window.foreground[..., :3] + window.background[..., :3], first)


def test_a_plate_has_nothing_removed(clip):
    window = data.clip_inputs(clip, dataclasses.replace(CONFIG, background="plate"))
    assert (window.background[..., 3] == 255).all()
    assert np.array_equal(window.background[..., :3], clip.background())


def test_depth_keeps_person_and_background_apart(clip):
    depth, person = data.clip_inputs(clip, CONFIG).depth, clip.mask() > 0
    assert depth.dtype == np.float32
    assert (depth[~person] == 1.0).all()
    assert depth[person].min() >= 0
    assert depth[person].max() <= 0.75


def test_a_batch_is_what_the_model_takes(clip):
    windows = [data.clip_inputs(clip, CONFIG, start=s, stop=s + 3) for s in (0, 5)]
    batch = data.clip_batch(windows, CONFIG, LOOK, [False, True])
    assert batch.video_BLCHW.shape == batch.depth_BLCHW.shape == batch.pose_BLCHW.shape == (2, 3, 3, 32, 32)
    assert batch.foreground_BCHW.shape == (2, 3, 16, 16)
    assert -1 <= batch.video_BLCHW.min() < 0 < batch.video_BLCHW.max() <= 1
    assert 0 <= batch.pose_BLCHW.min() < batch.pose_BLCHW.max() <= 1
    person = torch.from_numpy(clip.mask(0, 1)[0] > 0)
    assert torch.all(batch.background_BCHW[0][:, person] == 0)
    assert batch.foreground_BCHW[0].abs().sum() > 0
    assert torch.all(batch.foreground_BCHW[1] == 0)


def test_coloured_depth_reads_back(clip):
    window = data.clip_inputs(clip, CONFIG)
    batch = data.clip_batch([window], CONFIG, LOOK)
    rgb = ((batch.depth_BLCHW[0] + 1) * 127.5).movedim(1, -1).numpy()
    value, _ = colormap.decode(rgb, CONFIG.colormap)
    assert np.abs(value - window.depth).max() < 0.01


def test_prepared_size_and_recipe_size_may_differ(clip):
    window = data.clip_inputs(clip, DataConfig(size=24), stop=2)
    assert window.frames.shape == window.poses.shape == (2, 24, 24, 3)
    assert window.depth.shape == (2, 24, 24)
    assert window.background.shape == (24, 24, 4)


def test_a_clip_without_depth_is_named(clip):
    blind = dataclasses.replace(clip, record=dataclasses.replace(clip.record, depth=None))
    with pytest.raises(data.DataShortage, match=f"{clip.record.id}: no depth track"):
        data.clip_inputs(blind, CONFIG)
