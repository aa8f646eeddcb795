import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from raw_material import dancer, write_sequence

from idol_prep.pictures import MAX_PIXELS, read_depth, read_mask, read_rgb
from idol_prep.schema import DataError
from idol_prep.sources.tiktok import TikTokSource


def tiny(folder: Path, numbers: list[int], size: tuple[int, int] = (8, 6)) -> Path:
    """A sequence of flat frames whose grey is their number, with masks."""
    for name, value in (("images", None), ("masks", 255)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            grey = number if value is None else value
            Image.new("RGB", size, (grey, grey, grey)).save(folder / name / f"{number:04d}.png")
    return folder


@pytest.mark.parametrize("nesting", ["", "TikTok_dataset", "TikTok_dataset/TikTok_dataset"])
def test_finds_the_sequences_however_the_download_nests(tmp_path, nesting):
    for name in ("00002", "00010", "00001"):
        tiny(tmp_path / nesting / name, [1, 2])
    source = TikTokSource.open(tmp_path)
    assert [clip.id for clip in source.clips()] == ["00001", "00002", "00010"]
    assert source.ships("mask")
    assert not source.ships("depth")


def test_a_single_sequence_may_lie_beside_other_things(tmp_path):
    tiny(tmp_path / "00007", [1])
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("x")
    assert [clip.id for clip in TikTokSource.open(tmp_path).clips()] == ["00007"]


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    folder = tiny(tmp_path / "00001", [1, 2, 3, 10, 11])
    (folder / "images" / "0002.png").rename(folder / "images" / "2.png")
    (clip,) = TikTokSource.open(tmp_path).clips()
    assert [int(frame.rgb[0, 0, 0]) for frame in clip.read()] == [1, 2, 3, 10, 11]
    assert [int(frame.rgb[0, 0, 0]) for frame in clip.read(3)] == [10, 11]
    look = clip.look()
    assert (look.height, look.width, look.frames, look.fps) == (6, 8, 5, 30.0)
    assert look.notes == {"skipped_frames": 6}


def test_a_frame_without_its_mask_is_left_out_and_counted(tmp_path):
    folder = tiny(tmp_path / "00001", [1, 2, 3])
    (folder / "masks" / "0002.png").unlink()
    (clip,) = TikTokSource.open(tmp_path).clips()
    assert [int(frame.rgb[0, 0, 0]) for frame in clip.read()] == [1, 3]
    assert clip.look().notes == {"skipped_frames": 1}


@pytest.mark.parametrize(("split", "first"), [("disco-public", 335), ("paper-like", 331)])
def test_named_splits(tmp_path, split, first):
    """The last six or the last ten sequences; the public six are among the ten, and the record says which rule."""
    numbers = range(328, 341)
    for number in numbers:
        tiny(tmp_path / f"{number:05d}", [1])
    source = TikTokSource.open(tmp_path, split=split)
    assert [int(clip.id) for clip in source.clips() if clip.split == "test"] == list(range(first, 341))
    assert {clip.split for clip in source.clips()} == {"train", "test"}
    record = source.describe()
    assert (record["splits"], record["split_sizes"]["test"]) == (split, 341 - first)
    assert f"{first}-340 test" in record["split_rule"]


@pytest.mark.parametrize("text", [json.dumps({"train": ["1"], "test": ["2"]}), "# mine\n00001 train\n00002 test\n"])
def test_own_split_file(tmp_path, text):
    for name in ("00001", "00002"):
        tiny(tmp_path / "raw" / name, [1])
    file = tmp_path / "split.txt"
    file.write_text(text)
    assert [clip.split for clip in TikTokSource.open(tmp_path / "raw", split=str(file)).clips()] == ["train", "test"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("00001 holdout", "unknown split 'holdout'; use train, val, test"),
        ("00001 train\n00001 test", "00001 is in train and in test"),
        ("00001", "is not `id split`"),
        ("{nonsense", "no valid JSON"),
        ("00002 train", "says nothing of 00001"),
    ],
)
def test_unusable_split_file(tmp_path, text, complaint):
    tiny(tmp_path / "raw" / "00001", [1])
    file = tmp_path / "split.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=complaint):
        TikTokSource.open(tmp_path / "raw", split=str(file))


def test_unknown_split_name(tmp_path):
    tiny(tmp_path / "00001", [1])
    with pytest.raises(DataError, match="unknown split 'disco': name a preset"):
        TikTokSource.open(tmp_path, split="disco")


def test_no_sequence_anywhere(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        TikTokSource.open(tmp_path / "absent")
    with pytest.raises(DataError, match=r"expected 00001/images/0001\.png"):
        TikTokSource.open(tmp_path)


def test_an_empty_sequence_is_its_own_problem(tmp_path):
    (tmp_path / "00001" / "images").mkdir(parents=True)
    (clip,) = TikTokSource.open(tmp_path).clips()
    with pytest.raises(DataError, match="holds no frame"):
        clip.look()


def test_frames_of_different_sizes_break_the_sequence_where_they_differ(tmp_path):
    folder = tiny(tmp_path / "00001", [1, 2])
    tiny(folder, [3], size=(16, 12))
    (clip,) = TikTokSource.open(tmp_path).clips()
    frames = clip.read()
    assert [next(frames).rgb.shape, next(frames).rgb.shape] == [(6, 8, 3)] * 2
    with pytest.raises(DataError, match=r"0003\.png: is 16x12, the frames before are 8x6"):
        next(frames)


def test_a_mask_of_other_proportions_is_refused(tmp_path):
    folder = tiny(tmp_path / "00001", [1])
    Image.new("L", (20, 20)).save(folder / "masks" / "0001.png")
    (clip,) = TikTokSource.open(tmp_path).clips()
    with pytest.raises(DataError, match="20x20, which does not fit its frame of 8x6"):
        next(clip.read())


@pytest.mark.parametrize("suffix", [".png", ".npy", ".txt"])
def test_shipped_depth_in_each_kind_of_file(tmp_path, suffix):
    write_sequence(tmp_path / "00001", frames=2, depth=suffix)
    source = TikTokSource.open(tmp_path)
    assert source.ships("depth")
    for index, frame in enumerate(source.clips()[0].read()):
        exact = dancer(frames=2).depth[index] * 1000
        np.testing.assert_array_equal(np.isfinite(frame.shipped["depth"]), np.isfinite(exact))
        np.testing.assert_allclose(frame.shipped["depth"], exact, atol=0.51)


def test_another_named_split_is_told_by_the_stamps(tmp_path):
    """A dataset that is there already then rejects what changes its part; everything else is kept."""
    for number in (1, 330, 331, 334, 335):
        tiny(tmp_path / f"{number:05d}", [1])
    usual, ten = (
        {clip.id: clip.stamp for clip in TikTokSource.open(tmp_path, split=split).clips()}
        for split in ("disco-public", "paper-like")
    )
    assert {name for name in usual if usual[name] != ten[name]} == {"00331", "00334"}
    assert ten["00331"].endswith(", test by paper-like")


def test_the_stamp_tells_when_raw_files_change(tmp_path):
    folder = tiny(tmp_path / "00001", [1, 2])
    before = TikTokSource.open(tmp_path).clips()[0].stamp
    assert TikTokSource.open(tmp_path).clips()[0].stamp == before
    tiny(folder, [3])
    assert TikTokSource.open(tmp_path).clips()[0].stamp != before


# single pictures


def test_pictures_of_every_common_mode_become_rgb(tmp_path):
    for mode, colour in (("L", 100), ("RGB", (100, 100, 100)), ("RGBA", (100, 100, 100, 255)), ("1", 1), ("P", 3)):
        Image.new(mode, (4, 3), colour).save(tmp_path / f"{mode}.png")
        assert read_rgb(tmp_path / f"{mode}.png").shape == (3, 4, 3)
    Image.new("CMYK", (4, 3)).save(tmp_path / "cmyk.jpg")
    assert (read_rgb(tmp_path / "cmyk.jpg") > 250).all()
    Image.fromarray(np.full((3, 4), 0x8001, np.uint16)).save(tmp_path / "deep.png")
    assert (read_rgb(tmp_path / "deep.png") == 0x80).all()


def test_masks_of_0_and_1_are_stretched(tmp_path):
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 255]]


def test_a_transparent_picture_is_refused(tmp_path):
    Image.new("RGBA", (4, 3), (1, 2, 3, 100)).save(tmp_path / "see_through.png")
    with pytest.raises(DataError, match="partly transparent; flatten it"):
        read_rgb(tmp_path / "see_through.png")


def bare_png(path: Path, width: int, height: int) -> Path:
    """A PNG that claims a size and holds no pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(("width", "height"), [(40000, 25000), (12000, 10000)])
def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, width, height):
    assert width * height > MAX_PIXELS
    with pytest.raises(DataError, match=r"pixels.*100,000,000"):
        read_rgb(bare_png(tmp_path / "huge.png", width, height))


def test_unreadable_pictures_are_named(tmp_path):
    with pytest.raises(DataError, match="no such picture"):
        read_rgb(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text.png: cannot be read as a picture"):
        read_rgb(tmp_path / "text.png")
    with pytest.raises(DataError, match=r"none\.png"):
        read_rgb(bare_png(tmp_path / "none.png", 0, 5))


def test_depth_that_is_no_map_is_refused(tmp_path):
    np.save(tmp_path / "cube.npy", np.ones((2, 3, 4)))
    with pytest.raises(DataError, match=r"one value a pixel"):
        read_depth(tmp_path / "cube.npy")
    (tmp_path / "words.txt").write_text("not numbers")
    with pytest.raises(DataError, match=r"words.txt: cannot be read as an array"):
        read_depth(tmp_path / "words.txt")
