"""Folders of clips: what is recognised, what comes out, what is refused by name."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import tiny_clips
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from idol_eval.geometry import centre_square, fitting
from idol_eval.readers import PictureSet, PreparedSet, SampleSet, VideoSet
from idol_eval.samples import DepthRule, SampleError, open_set, pair
from idol_prep.schema import DataError, Dataset


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_clips.dataset(tmp_path_factory.mktemp("truth") / "data", {"a": "test", "b": "test", "c": "train"})


@pytest.mark.parametrize(
    ("write", "kind"),
    [(tiny_clips.samples, SampleSet), (tiny_clips.pictures, PictureSet), (tiny_clips.videos, VideoSet)],
)
def test_every_kind_gives_the_same_clips(tmp_path: Path, truth: Dataset, write, kind: type) -> None:
    found = open_set(write(tmp_path / "set", truth))
    reference = PreparedSet(truth.root)
    assert isinstance(found, kind)
    assert found.ids == reference.ids == ("a", "b", "c")
    assert not found.lossy
    for id in found.ids:
        mine, true = found.read(id), reference.read(id)
        assert_array_equal(mine.video, true.video)
        assert_allclose(mine.depth, true.depth, atol=1 / 65535)
        if kind is not SampleSet:
            assert_array_equal(mine.mask, true.mask)
        assert found.read(id, 2).shape == (2, tiny_clips.HEIGHT, tiny_clips.WIDTH)
        assert found.read(id, 9).shape[0] == 3
    assert found.describe()["clips"] == 3


def test_prepared_dataset(truth: Dataset) -> None:
    found = open_set(truth.root, split="test", rule=DepthRule(person=(0.0, 0.5), background=0.9))
    assert found.ids == ("a", "b")
    clip = found.read("a")
    assert clip.depth is not None
    assert clip.mask is not None
    assert clip.depth[clip.mask == 0] == pytest.approx(0.9)
    assert clip.depth[clip.mask > 0].max() == pytest.approx(0.5, abs=1e-3)
    assert clip.rule == DepthRule(person=(0.0, 0.5), background=0.9, polarity="distance", scope="person")
    assert clip.background is not None
    assert found.describe()["content"] == truth.content_hash
    with pytest.raises(SampleError, match="no clip in split 'val'; choose --split from test, train"):
        open_set(truth.root, split="val")


def test_one_sample_alone_is_a_set(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.samples(tmp_path / "set", truth)
    assert open_set(home / "b").ids == ("b",)
    assert open_set(tiny_clips.videos(tmp_path / "films", truth) / "c.mkv").ids == ("c",)
    assert open_set(tiny_clips.pictures(tmp_path / "stills", truth) / "a").ids == ("a",)


def test_lossy_files_are_known_as_such(tmp_path: Path, truth: Dataset) -> None:
    assert open_set(tiny_clips.videos(tmp_path / "mp4", truth, ".mp4")).lossy
    assert open_set(tiny_clips.pictures(tmp_path / "jpg", truth, ".jpg")).lossy


def test_a_slow_gif_keeps_its_number_of_frames(tmp_path: Path) -> None:
    """Some decoders repeat frames up to the container's rate: 128 instead of 16."""
    frames = tiny_clips.disc(0, frames=16)["frames"]
    tiny_clips.encode(tmp_path / "slow.gif", frames, "gif", rate=3)
    assert open_set(tmp_path / "slow.gif").read("slow").shape[0] == 16


def test_unknown_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_set(tmp_path / "absent")
    with pytest.raises(SampleError, match="no clips found; give a prepared dataset"):
        open_set(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="format version"):
        open_set(tmp_path)


def test_broken_samples(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.samples(tmp_path / "set", truth)
    (home / "notes").mkdir()
    with pytest.raises(SampleError, match=r"notes: has no sample\.json"):
        open_set(home)
    (home / "notes").rmdir()
    record = json.loads((home / "a" / "sample.json").read_text())
    (home / "a" / "sample.json").write_text(json.dumps(record | {"frames": 4}))
    with pytest.raises(SampleError, match=r"a track holds 3 frames, sample\.json says 4"):
        open_set(home).read("a")
    (home / "b" / "sample.json").write_text("{")
    with pytest.raises(SampleError, match="cannot be read"):
        open_set(home).read("b")
    (home / "c" / "sample.json").write_text(json.dumps(record | {"version": 2}))
    with pytest.raises(SampleError, match="no sample record of version 1"):
        open_set(home).read("c")
    (home / "c" / "sample.json").write_text(json.dumps(record))
    (home / "c" / "frames.mkv").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"frames\.mkv"):
        open_set(home).read("c")


@pytest.mark.parametrize("ending", ["gif", "mkv", "avi"])
def test_videos_that_break_off_are_named(tmp_path: Path, ending: str) -> None:
    """Decoders give what is left, without a word."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    file = tmp_path / f"a.{ending}"
    if ending == "gif":
        pictures = [Image.fromarray(frame) for frame in frames]
        pictures[0].save(file, save_all=True, append_images=pictures[1:], duration=300)
    else:
        with av.open(str(file), "w") as container:
            stream = container.add_stream("ffv1" if ending == "mkv" else "mpeg4", rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = "bgr0" if ending == "mkv" else "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode(None))
    assert open_set(tmp_path).read("a").shape == (12, 32, 32)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 7 // 10])
    with pytest.raises(SampleError, match=rf"a\.{ending}: breaks off after \d+"):
        open_set(tmp_path).read("a")


def test_an_empty_folder_among_clips_is_named(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.pictures(tmp_path / "set", truth)
    (home / "unmade").mkdir()
    with pytest.raises(SampleError, match="unmade: holds no pictures and so is no clip"):
        open_set(home)


def test_broken_pictures(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.pictures(tmp_path / "set", truth)
    (home / "a" / "9.png").write_bytes(b"broken")
    with pytest.raises(SampleError, match=r"9\.png: cannot be read"):
        open_set(home).read("a")
    (home / "b" / "depth" / "8.png").write_bytes((home / "b" / "8.png").read_bytes())
    with pytest.raises(SampleError, match="'RGB'; depth must be grey with 8 or 16 bits"):
        open_set(home).read("b")
    (home / "c" / "8.png").write_bytes((home / "c" / "mask" / "8.png").read_bytes())
    assert open_set(home).read("c").shape[0] == 3
    Image.new("RGB", (5, 5)).save(home / "c" / "8.png")
    with pytest.raises(SampleError, match="different sizes"):
        open_set(home).read("c")


def test_pictures_whose_conversion_would_lose_something_are_refused(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.pictures(tmp_path / "set", truth)
    whole = open_set(home).read("a")
    frame = Image.open(home / "a" / "8.png").convert("RGB")
    opaque, holed = frame.convert("RGBA"), frame.convert("RGBA")
    opaque.save(home / "a" / "8.png")
    assert_array_equal(open_set(home).read("a").video, whole.video)
    holed.putpixel((1, 2), (9, 9, 9, 0))
    holed.save(home / "a" / "8.png")
    with pytest.raises(SampleError, match=r"8\.png: has transparent pixels"):
        open_set(home).read("a")
    deep = Image.fromarray(np.full(frame.size[::-1], 40000, np.uint16))
    deep.save(home / "b" / "8.png")
    with pytest.raises(SampleError, match=r"8\.png: its pixels are 'I;16'; write 8-bit RGB"):
        open_set(home).read("b")
    deep.save(home / "c" / "depth" / "8.png")
    assert open_set(home).read("c").depth[0, 0, 0] == pytest.approx(40000 / 65535)  # type: ignore[index]
    frame.convert("P").save(home / "c" / "depth" / "8.png")
    with pytest.raises(SampleError, match="its pixels are 'P'; depth must be grey"):
        open_set(home).read("c")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0001.png", "0002.png", "0004.png"], r"0002\.png: the next frame is 0004\.png, where others are 1 apart"),
        (["f8.png", "f0.png", "f12.png"], r"f0\.png: the next frame is f8\.png, where others are 4 apart"),
        (["1.png", "0001.jpg", "2.png"], r"has the same name or number; keep one of them"),
        (["a.png", "a.webp"], r"a\.png: a\.webp has the same name"),
        (["1.png", "2.png", "cover.png"], r"2\.png: cover\.png is named in another way"),
        (["left1.png", "right2.png"], r"left1\.png: right2\.png is named in another way"),
    ],
)
@pytest.mark.parametrize("track", ["", "depth", "mask"])
def test_pictures_that_are_no_whole_clip(tmp_path: Path, names: list[str], said: str, track: str) -> None:
    (tmp_path / "a" / track).mkdir(parents=True)
    for file in {tmp_path / "a" / "7.png", *(tmp_path / "a" / track / name for name in names)}:
        if track or file.name != "7.png":
            Image.new("L", (4, 4)).save(file)
    with pytest.raises(SampleError, match=said):
        open_set(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["0.png"],
        ["9.png", "10.png", "11.png"],
        ["clip2_0000.png", "clip2_0004.png", "clip2_0008.png"],
        ["12-30-59.png", "12-31-00.png", "12-31-07.png"],
        ["begin.png", "end.png"],
    ],
)
def test_any_even_numbering_is_a_clip(tmp_path: Path, names: list[str]) -> None:
    for level, name in enumerate(names):
        Image.new("L", (4, 4), level).save(tmp_path / name)
    video = open_set(tmp_path).read(tmp_path.name).video
    assert video is not None
    assert video[:, 0, 0, 0].tolist() == list(range(len(names)))


def test_two_videos_of_one_name(tmp_path: Path, truth: Dataset) -> None:
    home = tiny_clips.videos(tmp_path / "set", truth)
    (home / "a.mp4").write_bytes(b"")
    with pytest.raises(SampleError, match="another video has the same name"):
        open_set(home)


def test_pairing(tmp_path: Path, truth: Dataset) -> None:
    mine = tiny_clips.samples(tmp_path / "set", truth)
    found = pair(open_set(mine), open_set(truth.root))
    assert found.pairs == (("a", "a"), ("b", "b"), ("c", "c"))
    assert pair(open_set(mine), open_set(truth.root), limit=2).pairs == (("a", "a"), ("b", "b"))
    with pytest.raises(SampleError, match="c is not among the 2 reference clips"):
        pair(open_set(mine), open_set(truth.root, split="test"))
    only = pair(open_set(mine / "b"), open_set(truth.root))
    assert (only.pairs, only.unused) == ((("b", "b"),), ("a", "c"))
    assert only.notes == ("2 reference clips have no sample and are left out: a, c",)
    (mine / "b").rename(tmp_path / "renamed")
    with pytest.raises(SampleError, match="renamed is not among"):
        pair(open_set(tmp_path / "renamed"), open_set(truth.root))
    alone = pair(open_set(tmp_path / "renamed"), open_set(truth.root, split="train"))
    assert alone.pairs == (("renamed", "c"),)
    assert alone.notes == ("renamed is compared with c, the only clip on either side",)


def test_centred_square(truth: Dataset) -> None:
    clip = PreparedSet(truth.root).read("a")
    assert clip.video is not None
    same = centre_square(clip, tiny_clips.HEIGHT)
    assert_array_equal(same.video, clip.video[:, :, 4:28])
    half = fitting(12)(clip)
    assert half.shape == (3, 12, 12)
    assert half.depth is not None
    assert half.mask is not None
    assert half.background is not None
    assert half.background.shape == (12, 12, 3)
    assert set(np.unique(half.depth)) <= set(np.unique(clip.depth))
    assert half.mask.mean() == pytest.approx(same.mask.mean() if same.mask is not None else 0, abs=0.05)
    assert fitting(None)(clip) is clip
