"""Sample folders: what they hold, that they are whole or not there, and that they repeat."""

import hashlib
import json
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
from tiny_generation import SIZE, background, drawn_poses, person, recipe, shared

from idol_model import samples
from idol_model.outputs import IdolOutput
from idol_model.samples import SampleInfo, SampleWriter
from idol_prep.video import read_ffv1, read_video

CHECKPOINT = {"path": "somewhere", "sha256": "0" * 64}


def info(**settings) -> SampleInfo:
    return SampleInfo.of(shared(), CHECKPOINT, id="dance", fps=24.0, **settings)


def output(frames: int = 11) -> IdolOutput:
    return shared()(person(), background(), drawn_poses(frames))


def write(folder, out: IdolOutput, pieces: int = 3):
    with SampleWriter(folder, info()) as writer:
        for part in np.array_split(np.arange(len(out.video)), pieces):
            writer.append(replace(out, **{field.name: getattr(out, field.name)[part] for field in fields(out)}))
        return writer.finish({"seconds": 1.5})


def test_frames_and_depth_come_back_exactly(tmp_path):
    out = output()
    write(tmp_path / "sample", out)
    assert np.array_equal(read_ffv1(tmp_path / "sample" / "frames.mkv"), out.video)
    codes = read_ffv1(tmp_path / "sample" / "depth.mkv")
    assert codes.dtype == np.uint16
    assert np.abs(codes / 65535 - out.depth).max() <= 0.5 / 65535 + 1e-7


def test_the_folder_holds_what_the_format_says(tmp_path):
    record = write(tmp_path / "sample", output())
    names = {path.name for path in (tmp_path / "sample").iterdir()}
    assert names == {"frames.mkv", "depth.mkv", "video.mp4", "depth.mp4", "sample.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]
    assert json.loads((tmp_path / "sample" / "sample.json").read_text()) == record
    assert len(list(read_video(tmp_path / "sample" / "video.mp4"))) == 11


def test_the_record_says_what_made_the_sample(tmp_path):
    record = write(tmp_path / "sample", output())
    sampling = recipe().sampling
    assert (
        record
        | {
            "format": "idol-sample",
            "version": 1,
            "id": "dance",
            "frames": 11,
            "height": SIZE,
            "width": SIZE,
            "fps": 24.0,
            "seed": 0,
            "steps": sampling.steps,
            "guidance": sampling.guidance,
            "recipe": "debug",
            "checkpoint": CHECKPOINT,
            "colormap": "hot",
            "depth": {"polarity": "distance", "person": [0.0, 0.75], "background": 1.0},
            "timings": {"seconds": 1.5},
        }
        == record
    )
    assert record["provenance"]["synthetic"] is True


def test_settings_left_out_are_the_recipes():
    named = info(seed=3, steps=7, guidance=None)
    assert (named.seed, named.steps, named.guidance) == (3, 7, recipe().sampling.guidance)


def test_pieces_do_not_change_a_byte_of_what_is_measured(tmp_path):
    out = output()
    write(tmp_path / "one", out, pieces=1)
    write(tmp_path / "many", out, pieces=6)
    # Not the previews: libx264's assembly is not exactly repeatable on pictures as tiny as these.
    for name in ("frames.mkv", "depth.mkv", "sample.json"):
        one, many = ((tmp_path / folder / name).read_bytes() for folder in ("one", "many"))
        assert hashlib.sha256(one).digest() == hashlib.sha256(many).digest(), name


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_nothing_behind(tmp_path, error):
    threads = threading.active_count()
    out = output()
    with pytest.raises(error), SampleWriter(tmp_path / "sample", info()) as writer:
        append_and_raise(writer, out, error)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def append_and_raise(writer: SampleWriter, out: IdolOutput, error: type[BaseException]) -> None:
    writer.append(out)
    raise error


def test_an_error_keeps_the_sample_that_was_there(tmp_path):
    write(tmp_path / "sample", output())
    before = (tmp_path / "sample" / "frames.mkv").read_bytes()
    with pytest.raises(RuntimeError), SampleWriter(tmp_path / "sample", info()):
        raise RuntimeError
    assert (tmp_path / "sample" / "frames.mkv").read_bytes() == before


def test_a_sample_is_replaced_whole(tmp_path):
    write(tmp_path / "sample", output())
    (tmp_path / "sample" / "stray").touch()
    write(tmp_path / "sample", output(3), pieces=1)
    assert not (tmp_path / "sample" / "stray").exists()
    assert len(read_ffv1(tmp_path / "sample" / "frames.mkv")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_an_encoders_error_reaches_the_writer(tmp_path, monkeypatch):
    def full(path, frames, *_):
        next(iter(frames))
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(samples, "write_ffv1", full)
    out = output(8)
    with pytest.raises(OSError, match="No space left"), SampleWriter(tmp_path / "sample", info()) as writer:
        append_much(writer, out)
    assert list(tmp_path.iterdir()) == []


def append_much(writer: SampleWriter, out: IdolOutput) -> None:
    for _ in range(20):
        writer.append(out)
    writer.finish({})


def test_no_frames_make_no_sample(tmp_path):
    with pytest.raises(ValueError, match="no frames"), SampleWriter(tmp_path / "sample", info()) as writer:
        writer.finish({})
    assert list(tmp_path.iterdir()) == []
