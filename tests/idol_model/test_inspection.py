"""What `idol inspect` shows: colours that mean what they say, and the losses' own numbers."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_generation import pipeline
from tiny_training import dancers

from idol_model.inspection import hsv_to_rgb, inspect, motion_colours, principal_colours, write_sheet
from idol_model.objective import ObjectiveConfig
from idol_prep.schema import Dataset


def test_pure_hues() -> None:
    hue = torch.tensor([0.0, 1 / 3, 2 / 3])
    assert torch.allclose(hsv_to_rgb(hue, torch.ones(3), torch.ones(3)), torch.eye(3), atol=1e-6)
    assert torch.equal(hsv_to_rgb(hue, torch.zeros(3), torch.ones(3)), torch.ones(3, 3))


def test_equal_features_have_equal_colours_in_both_streams() -> None:
    features = torch.randn(1, 2, 16, 8, generator=torch.Generator().manual_seed(0))
    colours = principal_colours(torch.cat([features, features]))
    assert torch.equal(colours[0], colours[1])
    assert colours.amin() == 0
    assert colours.amax() == 1


def test_a_shift_to_the_right_is_red_and_a_shift_to_the_left_is_cyan() -> None:
    side = 8
    first = 20 * torch.eye(side * side).view(side, side, -1)
    right = torch.stack([first, first.roll(1, dims=1)]).flatten(1, 2)
    left = torch.stack([first, first.roll(-1, dims=1)]).flatten(1, 2)
    colours = motion_colours(torch.stack([right, left]), side).view(2, side, side, 3)[:, :, 1:-1]
    # Inside the picture, the drift of a soft field leaves the direction as it is.
    assert colours[0, ..., 0].mean() > colours[0, ..., 2].mean() + 0.1
    assert colours[1, ..., 2].mean() > colours[1, ..., 0].mean() + 0.1


def test_a_clip_from_inside_has_the_losses_of_every_up_block(tmp_path) -> None:
    clip = Dataset.open(dancers())
    found = inspect(pipeline(), clip.clip(clip.records()[0].id), time=300)
    assert found.blocks
    for block in found.blocks:
        frames = len(found.frames)
        assert block.features.shape == block.attention.shape == (2, frames, block.side, block.side, 3)
        assert block.motion.shape == (2, frames - 1, block.side, block.side, 3)
        assert np.isfinite([block.l_mo, block.l_xattn]).all()
    write_sheet(found, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 128 * frames
        assert np.asarray(sheet).std() > 10


def test_the_losses_are_read_as_the_recipe_reads_them() -> None:
    dataset = Dataset.open(dancers())
    clip = dataset.clip(dataset.records()[0].id)

    def seen(**reading: str) -> tuple[float, float]:
        (block,) = inspect(pipeline(objective=ObjectiveConfig(**reading)), clip, time=300).blocks  # type: ignore[arg-type]
        return block.l_mo, block.l_xattn

    motion, xattn = seen()
    assert seen(motion_norm="row", xattn_norm="row") == pytest.approx((16 * motion, 16 * xattn), rel=1e-5)
    assert seen(motion_feature="block")[0] != pytest.approx(motion, rel=1e-2)


def test_times_outside_the_schedule_are_named() -> None:
    clip = Dataset.open(dancers())
    with pytest.raises(ValueError, match="time: 1000 lies outside 0 to 999"):
        inspect(pipeline(), clip.clip(clip.records()[0].id), time=1000)
