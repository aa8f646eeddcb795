"""Lossless tracks and ordinary video files."""

from pathlib import Path

import numpy as np
import pytest

from idol_prep.video import Layout, TrackError, pick_ffv1, probe, read_ffv1, read_video, write_ffv1, write_mp4

SHAPES: dict[Layout, tuple[int, ...]] = {"rgb": (13, 33, 47, 3), "gray": (13, 33, 47), "gray16": (13, 33, 47)}


def noise(layout: Layout) -> np.ndarray:
    dtype = np.uint16 if layout == "gray16" else np.uint8
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, SHAPES[layout], dtype=dtype)


@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("fps", [12, 15.5, 30000 / 1001, 60])
def test_every_window_is_bit_exact(tmp_path: Path, layout: Layout, fps: float):
    frames, path = noise(layout), tmp_path / "a.mkv"
    assert write_ffv1(path, frames, layout, fps) == len(frames)
    np.testing.assert_array_equal(read_ffv1(path), frames)
    for start in range(len(frames)):
        stop = min(start + 8, len(frames))
        np.testing.assert_array_equal(read_ffv1(path, start, stop), frames[start:stop])
    for numbers in ([0], [12, 3, 3, 0], [5, 6, 7]):
        np.testing.assert_array_equal(pick_ffv1(path, numbers), frames[numbers])


def test_same_frames_same_bytes(tmp_path: Path):
    for name in ("a.mkv", "b.mkv"):
        write_ffv1(tmp_path / name, noise("rgb"), "rgb", 12)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell its memory")
def test_windows_read_over_and_over_take_no_more_memory(tmp_path: Path):
    write_ffv1(tmp_path / "track.mkv", np.zeros((8, 32, 32, 3), np.uint8))
    held = []
    for _ in range(5):
        for _ in range(1000):
            read_ffv1(tmp_path / "track.mkv", 2, 3)
        held.append(int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]))
    assert held[-1] - held[0] < 400, f"{held} kB; a track left half read once cost 260 bytes a window"


def test_bad_tracks_are_refused(tmp_path: Path):
    path = tmp_path / "a.mkv"
    with pytest.raises(TrackError, match="no frames"):
        write_ffv1(path, [], "rgb")
    with pytest.raises(TrackError, match=r"frame 1 is uint8 \(5, 4, 3\)"):
        write_ffv1(path, [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)], "rgb")
    write_ffv1(path, noise("gray"), "gray")
    with pytest.raises(TrackError, match="holds 13 frames"):
        read_ffv1(path, 10, 20)
    with pytest.raises(TrackError, match="no range"):
        read_ffv1(path, 5, 5)
    with pytest.raises(TrackError, match=r"does not hold all of the frames \[3, 13\]"):
        pick_ffv1(path, [3, 13])
    with pytest.raises(FileNotFoundError):
        read_ffv1(tmp_path / "none.mkv")


def test_truncated_track_is_refused(tmp_path: Path):
    path = tmp_path / "a.mkv"
    write_ffv1(path, noise("rgb"), "rgb")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TrackError):
        read_ffv1(path, 0, 13)


@pytest.fixture
def ramp() -> np.ndarray:
    """Ten odd-sized frames that brighten one after the other."""
    return np.repeat(np.arange(10, dtype=np.uint8)[:, None] * 20, 31 * 45 * 3, axis=1).reshape(10, 31, 45, 3)


def test_preview_is_padded_and_readable(tmp_path: Path, ramp: np.ndarray):
    path = tmp_path / "a.mp4"
    write_mp4(path, ramp, 25)
    info = probe(path)
    assert (info.height, info.width, info.frames, info.rotation) == (32, 46, 10, 0)
    assert info.fps == pytest.approx(25)
    read = np.stack(list(read_video(path)))
    assert np.abs(read[:, :31, :45].astype(int) - ramp).mean() < 4


def test_frames_are_chosen_by_start_stop_step(tmp_path: Path, ramp: np.ndarray):
    path = tmp_path / "a.mp4"
    write_mp4(path, iter(ramp), 25)
    levels = [round(float(frame.mean()) / 20) for frame in read_video(path, start=1, stop=8, step=3)]
    assert levels == [1, 4, 7]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_undone(tmp_path: Path, degrees: int, turn_video):
    """A picture with a white top left corner, stored turned: it must come out upright."""
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:8, :16] = 255
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    write_mp4(plain, [np.rot90(upright, -degrees // 90)] * 3, 25)
    turn_video(plain, turned, degrees)
    assert (probe(turned).height, probe(turned).width) == (32, 64)
    frame = next(read_video(turned))
    assert frame.shape == (32, 64, 3)
    assert frame[:6, :12].mean() > 200
    assert frame[12:].mean() < 40


def test_unreadable_videos_are_refused(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(TrackError, match="not a readable video"):
        probe(tmp_path / "a.mp4")
    with pytest.raises(FileNotFoundError):
        next(read_video(tmp_path / "none.mp4"))
    with pytest.raises(TrackError, match="no frames"):
        write_mp4(tmp_path / "b.mp4", np.zeros((0, 8, 8, 3), np.uint8), 25)
