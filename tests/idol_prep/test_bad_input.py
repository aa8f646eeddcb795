"""Bad videos, names and pictures through the whole way: rejected with a reason, nothing dropped or paired wrongly."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import av
import numbered
import numpy as np
import pytest
from PIL import Image

from idol_prep._files import explained
from idol_prep.pictures import picture_size, read_mask, read_rgb
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.pose import Keypoints, crowd, follow
from idol_prep.schema import DataError, Dataset
from idol_prep.sources.folder import FolderSource
from idol_prep.sources.tiktok import TikTokSource
from idol_prep.video import write_ffv1, write_mp4

OPTIONS = PrepOptions(size=64, pose="numbered", mask="numbered", depth="numbered")


@pytest.fixture(autouse=True)
def numbered_annotators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered.annotators, "ENTRIES", dict(numbered.annotators.ENTRIES))
    numbered.register()


def write_good(path: Path, frames: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, [numbered.picture(number) for number in range(frames)], 24)
    return path


def write_sound(path: Path) -> None:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_without_frames(path: Path) -> None:
    """A video whose header is whole, with no frame and no duration."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()


def write_flipped(path: Path, frames: int = 40) -> None:
    """A video with bits turned over in its middle."""
    write_ffv1(path, [numbered.picture(number) for number in range(frames)], "rgb", 24)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    for at in range(middle, middle + 400):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))


def test_bad_videos_are_rejected_beside_good_ones(tmp_path):
    raw = tmp_path / "raw"
    write_good(raw / "good.mp4")
    (raw / "empty.mp4").touch()
    (raw / "truncated.mp4").write_bytes((raw / "good.mp4").read_bytes()[:700])
    write_sound(raw / "sound.mp4")
    write_without_frames(raw / "noframes.avi")
    summary = prepare(FolderSource.open(raw), tmp_path / "out", OPTIONS)
    assert summary.clips == 1
    assert set(summary.rejected) == {"empty", "truncated", "sound", "noframes"}
    assert all(reason.startswith("unreadable: ") for reason in summary.rejected.values())
    assert "holds no video stream" in summary.rejected["sound"]
    listed = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [one["id"] for one in listed] == ["empty", "noframes", "sound", "truncated"]
    assert {one["stage"] for one in listed} == {"decode"}


def test_a_video_damaged_in_its_middle_keeps_its_good_frames_in_their_places(tmp_path):
    (tmp_path / "raw").mkdir()
    write_flipped(tmp_path / "raw" / "a.mkv")
    summary = prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", OPTIONS)
    dataset = Dataset.open(tmp_path / "out")
    (record,) = dataset.records()
    assert 8 <= record.frames < 40
    assert numbered.numbers_of(dataset.clip("a"))["depth"] == list(range(record.frames))
    assert summary.rejected["a-rest"].startswith(f"truncated: {record.frames} good frames are kept")


@pytest.mark.parametrize("name", ["日本語 ダンス", 'a\'b "c" $(d)', "-rf", "x..", "é" * 60, "a\nb", "%05d", "con."])
def test_odd_names_are_no_trouble(tmp_path, name):
    write_good(tmp_path / "raw" / f"{name}.mp4")
    assert prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", OPTIONS).clips == 1
    (record,) = Dataset.open(tmp_path / "out").records()
    assert record.source.startswith(f"{name}.mp4")


# people


def board_at(left: int, number: int = 5) -> np.ndarray:
    """The numbered board somewhere else."""
    return np.roll(numbered.picture(number), left - numbered.BOARD[0], axis=1)


def test_people_who_leave_are_gaps_and_too_many_gaps_a_reject(tmp_path):
    empty = np.full((numbered.HEIGHT, numbered.WIDTH, 3), 40, np.uint8)
    for name, gone in (("short", 4), ("long", 18)):
        frames = [board_at(36)] * 10 + [empty] * gone + [board_at(36)] * 2
        path = tmp_path / "raw" / f"{name}.mkv"
        path.parent.mkdir(exist_ok=True)
        write_ffv1(path, frames, "rgb", 24)
    options = replace(OPTIONS, cuts="keep", depth="numbered_or_nothing")
    entries = numbered.annotators.ENTRIES
    entries["depth", "numbered_or_nothing"] = replace(
        entries["depth", "numbered"], make=lambda module, given: DepthWithGaps(entries["depth", "numbered"].describe(0))
    )
    summary = prepare(FolderSource.open(tmp_path / "raw"), tmp_path / "out", options)
    assert summary.rejected == {"long": "no person: nobody was found in 60% of the frames"}
    clip = Dataset.open(tmp_path / "out").clip("short")
    seen = clip.keypoints().score[:, 0].any(axis=1)
    assert seen.tolist() == [True] * 10 + [False] * 4 + [True] * 2
    assert clip.record.scores["missed_frames"] == pytest.approx(0.25)
    assert not clip.mask(10, 14).any()


class DepthWithGaps(numbered.NumberedDepth):
    """One value on the mask."""

    def depth(self, batch):
        return np.where(batch.mask > 0, np.float32(3), np.float32(np.nan))


def two_people(length: int = 20) -> Keypoints:
    """A large person who walks right and a small one who stays, in slots that change places."""
    figure = np.stack([np.linspace(-10, 10, 18), np.linspace(-30, 30, 18)], axis=-1)
    xy, score = np.zeros((length, 2, 18, 2), np.float32), np.ones((length, 2, 18), np.float32)
    for frame in range(length):
        places = [figure * 2 + np.array([60 + 4 * frame, 100]), figure + np.array([260, 100])]
        xy[frame] = places if frame % 2 else places[::-1]
    score[6:9] *= 0.1
    return Keypoints(xy=xy, score=score)


@pytest.mark.parametrize(("policy", "moves"), [("largest", True), ("longest", True), ("center", False)])
def test_the_subject_is_followed_through_changing_slots(policy, moves):
    people = two_people()
    if policy == "longest":
        people.score[12:, :][np.arange(8), (np.arange(12, 20) % 2)] = 0
    subject = follow(people, (200, 520), policy)
    assert subject.people == 1
    seen = subject.score[:, 0].any(axis=1)
    x = subject.xy[seen, 0].mean(axis=1)[:, 0]
    assert (np.ptp(x) > 60) == moves
    assert (np.abs(np.diff(x)) < 20).all()
    assert not seen[6:9].any() or (subject.score[6:9] <= 0.1).all()


def test_the_first_policy_is_discos():
    assert follow(two_people(), (200, 520), "first").xy[0, 0].mean(axis=0)[0] == pytest.approx(260)
    assert crowd(two_people()) == pytest.approx(17 / 20)
    with pytest.raises(DataError, match="unknown subject 'tallest'"):
        follow(two_people(), (200, 520), "tallest")


# pictures


def test_pictures_of_every_kind_become_rgb(tmp_path):
    red = np.zeros((4, 6, 3), np.uint8)
    red[:, :3, 0] = 255
    Image.fromarray(red).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    Image.fromarray((np.arange(24).reshape(4, 6) * 2730).astype(np.uint16)).save(tmp_path / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter to see it upright
    Image.fromarray(np.ascontiguousarray(np.rot90(red))).save(tmp_path / "turned.png", exif=exif)
    assert np.abs(read_rgb(tmp_path / "cmyk.jpg").astype(int) - red).max() < 40
    assert read_rgb(tmp_path / "deep.png")[3, 5].tolist() == [245, 245, 245]
    assert picture_size(tmp_path / "turned.png") == (4, 6)
    np.testing.assert_array_equal(read_rgb(tmp_path / "turned.png"), red)
    mask = Image.fromarray(np.ascontiguousarray(np.rot90(red[..., 0])))
    mask.save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), red[..., 0])


def test_a_picture_of_a_thousand_million_pixels_is_refused_unread(tmp_path):
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 40_000, 25_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(DataError, match=r"huge\.png: has .*pixels"):
        read_rgb(tmp_path / "huge.png")


def test_a_mask_of_other_proportions_rejects_its_clip(tmp_path):
    for name in ("00001", "00002"):
        folder = numbered.write_sequence(tmp_path / "raw" / name, list(range(1, 13)))
        (folder / "masks").mkdir()
        for number in range(1, 13):
            size = (numbered.WIDTH, numbered.HEIGHT) if name == "00001" or number < 9 else (50, 50)
            Image.new("L", size, 255).save(folder / "masks" / f"{number:04d}.png")
    options = replace(OPTIONS, mask="dataset")
    summary = prepare(TikTokSource.open(tmp_path / "raw"), tmp_path / "out", options)
    assert summary.clips == 2
    assert "0009.png: is 50x50, which does not fit its frame of 128x96" in summary.rejected["00002-rest"]


# disks


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "lies on a read-only disk; choose another folder"),
        (errno.EACCES, "may not be written to"),
    ],
)
def test_disks_that_refuse_are_one_line(tmp_path, number, words):
    with pytest.raises(DataError, match=words), explained(tmp_path):
        raise OSError(number, "refused") if number != errno.EACCES else PermissionError(number, "refused")


def test_a_full_disk_ends_the_run_and_the_same_command_continues(tmp_path):
    import resource

    numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 13)))
    numbered.write_sequence(tmp_path / "raw" / "00002", list(range(1, 61)))
    source = TikTokSource.open(tmp_path / "raw")
    prepare(source, tmp_path / "whole", OPTIONS)
    largest = max(file.stat().st_size for file in (tmp_path / "whole").rglob("*.mkv"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest * 2 // 3, hard))
    try:
        with pytest.raises(DataError, match="no space left while writing clip 00002"):
            prepare(source, tmp_path / "out", OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [record.id for record in Dataset.open(tmp_path / "out").records()] == ["00001"]
    assert prepare(source, tmp_path / "out", OPTIONS).clips == 1
    assert Dataset.open(tmp_path / "out").content_hash == Dataset.open(tmp_path / "whole").content_hash
