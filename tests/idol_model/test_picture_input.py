"""Pictures of every kind people have, as RGBA that loses nothing."""

import numpy as np
import pytest
from PIL import Image

from idol_model.picture_input import PictureError, as_rgba, is_opaque

RAMP = np.linspace(0, 255, 12).round().astype(np.uint8).reshape(3, 4)


def test_grey_is_repeated():
    rgba = as_rgba(Image.fromarray(RAMP))
    assert np.array_equal(rgba[..., :3], RAMP[..., None].repeat(3, -1))
    assert is_opaque(rgba)
    assert np.array_equal(as_rgba(RAMP), rgba)


def test_sixteen_bit_grey_keeps_its_range():
    rgba = as_rgba(Image.fromarray(RAMP.astype(np.uint16) * 257))
    assert np.array_equal(rgba[..., 0], RAMP)


def test_sixteen_bit_files_keep_their_range(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / "grey.png")
    with Image.open(tmp_path / "grey.png") as picture:
        assert np.array_equal(as_rgba(picture)[..., 1], RAMP)


def test_cmyk_is_converted():
    cmyk = np.zeros((2, 2, 4), np.uint8)
    cmyk[0, 0] = (0, 255, 255, 0)
    cmyk[1, 1] = (0, 0, 0, 255)
    rgba = as_rgba(Image.fromarray(cmyk, "CMYK"))
    assert rgba[0, 0].tolist() == [255, 0, 0, 255]
    assert rgba[0, 1].tolist() == [255, 255, 255, 255]
    assert rgba[1, 1].tolist() == [0, 0, 0, 255]


def test_alpha_is_kept_in_every_form():
    alpha = np.where(RAMP > 100, 255, 0).astype(np.uint8)
    for mode, channels in (("LA", [RAMP]), ("RGBA", [RAMP, RAMP, RAMP])):
        rgba = as_rgba(Image.fromarray(np.stack([*channels, alpha], -1), mode))
        assert np.array_equal(rgba[..., 3], alpha)
        assert not is_opaque(rgba)
    palette = Image.fromarray(RAMP).convert("P")
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert as_rgba(palette)[0, 0, 3] == 0


def test_a_turned_photograph_is_put_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    picture = Image.fromarray(RAMP)
    picture.info["exif"] = exif.tobytes()
    assert np.array_equal(as_rgba(picture)[..., 0], np.rot90(RAMP, -1))


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        Image.fromarray(np.zeros((3, 3), np.float32)),
        Image.fromarray(np.full((3, 3), 10**6, np.int32)),
    ],
    ids=["empty", "two channels", "float array", "float picture", "32-bit integers"],
)
def test_what_has_no_known_range_is_refused(picture):
    with pytest.raises(PictureError):
        as_rgba(picture)
