from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from raw_material import dancer, write_broken_video, write_dancer_video

from idol_prep.schema import DataError
from idol_prep.sources.folder import FolderSource


def test_lists_videos_of_all_sub_folders_with_readable_ids(tmp_path):
    for name in ("b.mp4", "sub/a clip.MOV", "sub/deeper/c.webm", ".hidden.mp4", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    source = FolderSource.open(tmp_path)
    assert [clip.id for clip in source.clips()] == ["b", "sub-a-clip", "sub-deeper-c"]
    assert [clip.origin for clip in source.clips()] == ["b.mp4", "sub/a clip.MOV", "sub/deeper/c.webm"]
    assert not source.ships("mask")


def test_ids_stay_apart(tmp_path):
    for name in ("a.mp4", "a.mkv", "a+b.mp4", "a b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    ids = [clip.id for clip in FolderSource.open(tmp_path).clips()]
    assert len(set(ids)) == 4
    assert "a" in ids


def test_a_single_file_is_a_source(tmp_path):
    file = write_dancer_video(tmp_path / "one.mp4")
    (clip,) = FolderSource.open(file).clips()
    assert (clip.id, clip.origin, clip.split) == ("one", "one.mp4", "train")
    look = clip.look()
    assert (look.height, look.width, look.fps, look.frames) == (128, 128, 12.0, 12)


def test_frames_are_those_of_the_video_from_any_start(tmp_path):
    (clip,) = FolderSource.open(write_dancer_video(tmp_path / "one.mp4")).clips()
    frames = np.stack([frame.rgb for frame in clip.read()])
    assert frames.shape == dancer().frames.shape
    assert np.abs(frames.astype(int) - dancer().frames).mean() < 6
    np.testing.assert_array_equal(np.stack([frame.rgb for frame in clip.read(7)]), frames[7:])


@pytest.mark.parametrize(("fps", "expected"), [(6.0, [0, 2, 4, 6, 8, 10]), (8.0, [0, 1, 3, 4, 6, 7, 9, 10])])
def test_thinning_to_a_lower_rate(tmp_path, fps, expected):
    file = write_dancer_video(tmp_path / "one.mp4")
    (whole,) = FolderSource.open(file).clips()
    (thin,) = FolderSource.open(file, fps=fps).clips()
    every = [frame.rgb for frame in whole.read()]
    some = [frame.rgb for frame in thin.read()]
    assert [next(i for i, frame in enumerate(every) if np.array_equal(frame, one)) for one in some] == expected
    assert thin.look().frames == len(some)
    np.testing.assert_array_equal(next(thin.read(3)).rgb, some[3])


def test_a_rate_above_the_videos_own_is_refused(tmp_path):
    (clip,) = FolderSource.open(write_dancer_video(tmp_path / "one.mp4"), fps=24).clips()
    with pytest.raises(DataError, match="has 12 frames/s, --fps 24 asks for more"):
        clip.look()


def test_split_file_by_id(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "split.txt").write_text("b test\n")
    source = FolderSource.open(tmp_path, split_file=tmp_path / "split.txt")
    assert {clip.id: clip.split for clip in source.clips()} == {"a": "train", "b": "test"}


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        FolderSource.open(tmp_path / "absent")
    with pytest.raises(DataError, match="holds no video"):
        FolderSource.open(tmp_path)


def test_what_is_no_video_says_so_when_looked_at(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (clip,) = FolderSource.open(tmp_path).clips()
    with pytest.raises(DataError, match=r"text.mp4: .*not a readable video"):
        clip.look()
    with pytest.raises(DataError, match=r"text.mp4"):
        next(clip.read())


def test_a_video_that_breaks_off_gives_its_good_frames_first(tmp_path):
    (clip,) = FolderSource.open(write_broken_video(tmp_path / "one.mkv")).clips()
    good = []
    with pytest.raises(DataError, match=f"ends after .* of {clip.look().frames} frames"):
        good.extend(clip.read())
    assert 8 <= len(good) < 40


def write_timed(path: Path, seconds: list[float]) -> Path:
    """A Matroska video that says 25 frames a second, and shows its frames at these seconds."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.options = "yuv420p", {"tune": "zerolatency"}
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 5 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_variable_rate_is_no_truncation_and_its_gaps_are_counted(tmp_path):
    steps = [0.04, 0.04, 0.12] * 10
    file = write_timed(tmp_path / "a.mkv", np.cumsum(steps).tolist())
    (clip,) = FolderSource.open(file).clips()
    announced = clip.look().frames
    assert announced is not None
    assert announced > 40
    frames = list(clip.read())
    assert [frame.skipped for frame in frames] == [0, 0, 2] * 10
    assert [frame.skipped for frame in clip.read(2)] == [0, *[0, 0, 2] * 9]
