"""Every frame of every track belongs to the same source frame, whatever the source was like."""

from fractions import Fraction
from pathlib import Path

import av
import numbered
import numpy as np
import pytest

from idol_prep import reading
from idol_prep.cuts import CutFinder, signature
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.schema import Clip, Dataset
from idol_prep.sources import Source
from idol_prep.sources.folder import FolderSource
from idol_prep.sources.tiktok import TikTokSource

OPTIONS = {"size": 96, "pose": "numbered", "mask": "numbered", "depth": "numbered"}


@pytest.fixture(autouse=True)
def numbered_annotators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered.annotators, "ENTRIES", dict(numbered.annotators.ENTRIES))
    numbered.register()


def write_video(path: Path, numbers: list[int], *, times: list[int] | None = None, turned: int = 0) -> Path:
    """Numbered frames as H.264 with B-frames at 24 frames/s; ``times`` in milliseconds make the rate variable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.options = {"crf": "18", "bf": "2"}
        stream.codec_context.gop_size = 9
        base = Fraction(1, 1000) if times else Fraction(1, 24)
        stream.codec_context.time_base = base
        pictures = [np.ascontiguousarray(np.rot90(numbered.picture(number), -turned // 90)) for number in numbers]
        stream.height, stream.width = pictures[0].shape[:2]
        for index, stored in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(stored, "rgb24")
            frame.pts, frame.time_base = times[index] if times else index, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def clips_of(source: Source, out: Path, **changes: object) -> list[Clip]:
    """The source prepared, clip by clip in order of their first frames."""
    prepare(source, out, PrepOptions(**(OPTIONS | changes)))
    dataset = Dataset.open(out)
    return [dataset.clip(record.id) for record in sorted(dataset.records(), key=lambda record: record.start_frame)]


def assert_aligned(clip: Clip, numbers: list[int]) -> None:
    for track, found in numbered.numbers_of(clip).items():
        assert found == numbers, track


@pytest.mark.parametrize("crop", ["person", "center", "none"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "avi"])
def test_constant_rate(tmp_path, crop, container):
    numbers = list(range(30))
    source = FolderSource.open(write_video(tmp_path / f"a.{container}", numbers))
    (clip,) = clips_of(source, tmp_path / "out", crop=crop)
    assert_aligned(clip, numbers)


def test_variable_rate(tmp_path):
    numbers = list(range(1, 31))
    times = np.cumsum(np.random.default_rng(0).integers(15, 120, 30)).tolist()
    source = FolderSource.open(write_video(tmp_path / "a.mp4", numbers, times=times))
    (clip,) = clips_of(source, tmp_path / "out")
    assert_aligned(clip, numbers)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated(tmp_path, degrees, turn_video):
    numbers = list(range(12))
    plain = write_video(tmp_path / "plain" / "a.mp4", numbers, turned=degrees)
    source = FolderSource.open(turn_video(plain, tmp_path / "a.mp4", degrees))
    (clip,) = clips_of(source, tmp_path / "out")
    assert_aligned(clip, numbers)


@pytest.mark.parametrize("kept", [True, False])
def test_several_clips_of_one_video(tmp_path, monkeypatch, kept):
    if not kept:  # every clip is decoded twice
        monkeypatch.setattr(reading, "REPLAY_BYTES", 1)
    source = FolderSource.open(write_video(tmp_path / "a.mp4", list(range(45))))
    clips = clips_of(source, tmp_path / "out", clip_frames=16)
    assert [(clip.record.start_frame, clip.record.next_frame) for clip in clips] == [(0, 16), (16, 32), (32, None)]
    for clip in clips:
        assert_aligned(clip, list(range(clip.record.start_frame, clip.record.start_frame + clip.record.frames)))


def test_thinned(tmp_path):
    source = FolderSource.open(write_video(tmp_path / "a.mp4", list(range(30))), fps=12)
    (clip,) = clips_of(source, tmp_path / "out")
    assert_aligned(clip, list(range(0, 30, 2)))


def test_files_with_gaps(tmp_path):
    numbers = [1, 2, 3, 7, 8, 20, 21, 22, 30, 31]
    numbered.write_sequence(tmp_path / "raw" / "00001", numbers)
    (clip,) = clips_of(TikTokSource.open(tmp_path / "raw"), tmp_path / "out")
    assert_aligned(clip, numbers)


def test_scene_cuts_become_clips(tmp_path):
    """Two shots of nine and twelve frames; the room of the second is bright."""
    numbers = list(range(21))
    path = write_video(tmp_path / "a.mp4", numbers)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for frame in frames[9:]:
        frame[:20], frame[84:] = 200, 160
    finder = CutFinder()
    seen = [signature(frame) for frame in frames]
    assert [i for i in range(21) if finder.begins_a_shot(seen[i], seen[i + 1 : i + 3])] == [9]


def test_flashes_and_movement_are_no_cuts():
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (48, 64, 3), np.uint8)
    flash = [still] * 5 + [np.clip(still.astype(int) + 120, 0, 255).astype(np.uint8)] + [still] * 5
    moving = [np.roll(still, 6 * step, axis=1) for step in range(12)]
    for frames in (flash, moving):
        seen, finder = [signature(frame) for frame in frames], CutFinder()
        assert not any(finder.begins_a_shot(seen[i], seen[i + 1 : i + 3]) for i in range(len(seen)))


def test_a_video_with_a_cut_is_two_aligned_clips(tmp_path):
    """The second shot is turned into its negative room: the board stays, all around it changes."""
    bright = numbered.picture(0).copy()
    numbers = list(range(24))
    pictures = [numbered.picture(number) for number in numbers]
    for frame in pictures[11:]:
        frame[frame == bright[0, 0, 0]] = 5
        frame[:16] = (5, 5, 70)
        frame[88:] = (70, 5, 5)
        frame[:, :30] = (0, 70, 70)
    path = tmp_path / "a.mkv"
    from idol_prep.video import write_ffv1

    write_ffv1(path, pictures, "rgb", 24)
    clips = clips_of(FolderSource.open(path), tmp_path / "out", crop="none")
    assert [clip.record.start_frame for clip in clips] == [0, 11]
    assert [clip.record.scores["cuts"] for clip in clips] == [0, 0]
    for clip in clips:
        first = clip.record.start_frame
        assert numbered.numbers_of(clip)["depth"] == list(range(first, first + clip.record.frames))
    (whole,) = clips_of(FolderSource.open(path), tmp_path / "whole", crop="none", cuts="keep")
    assert (whole.record.frames, whole.record.scores["cuts"]) == (24, 1)
