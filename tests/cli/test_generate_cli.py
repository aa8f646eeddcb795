"""``idol generate``: every kind of input, every kind of bad input, and what is left on the disk."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_generation import SIZE, background, drawn_poses, person, save_pictures, shared
from typer.testing import CliRunner

from cli._output import Output
from cli._pose_frames import View, is_drawing
from cli._poses import Look, PosesError, open_poses
from cli.main import build_app
from idol_model.data import DataShortage, clip_poses
from idol_prep.pose import Keypoints
from idol_prep.schema import Clip, ClipRecord, DatasetWriter
from idol_prep.video import read_ffv1, read_video, write_mp4


@pytest.fixture(scope="module")
def stuff(tmp_path_factory):
    """A checkpoint and inputs of every kind."""
    folder = tmp_path_factory.mktemp("stuff")
    shared().save_pretrained(folder / "ckpt")
    Image.fromarray(person()).save(folder / "fg.png")
    Image.fromarray(background()).save(folder / "bg.jpg")
    save_pictures(folder / "poses", drawn_poses(11, 48, 32))
    write_mp4(folder / "poses.mp4", drawn_poses(9, 64, 96), 25.0)
    write_json_poses(folder / "json", 5)
    return folder


def write_json_poses(folder: Path, frames: int) -> None:
    folder.mkdir()
    for number in range(frames):
        joints = [[100 + 7 * (i % 4) + number, 50 + 9 * i, 0.9] for i in range(18)]
        people = {"people": [{"pose_keypoints_2d": [number for joint in joints for number in joint]}]}
        (folder / f"{number}_keypoints.json").write_text(json.dumps(people))


def run(*arguments: object):
    return CliRunner().invoke(build_app(), ["generate", *map(str, arguments)])


@pytest.fixture
def generate(stuff, tmp_path, monkeypatch):
    """Run with defaults that a test may replace; the working folder is a fresh one."""
    monkeypatch.chdir(tmp_path)

    def call(*more: object, fg="fg.png", bg="bg.jpg", poses="poses", ckpt="ckpt"):
        return run(stuff / fg, stuff / bg, stuff / poses, "--ckpt", stuff / ckpt, "--device", "cpu", *more)

    return call


def fails(result, *parts: str, code: int = 2) -> None:
    """One line that names the thing and the fix, and nothing on the disk."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("idol: error:")]
    assert (result.exit_code, len(lines)) == (code, 1), result.output
    for part in parts:
        assert part in lines[0]
    assert not list(Path().rglob("*.mkv"))
    assert not list(Path().rglob(".writing-*"))


def test_defaults_are_chosen_and_said(generate, stuff):
    result = generate()
    assert result.exit_code == 0, result.output
    named = Path("out") / stuff.name  # "poses" says nothing, the folder that holds them does
    for said in (f"{named} (default)", "device", "11 frames of pictures of drawn poses", "3 steps, guidance 1.5"):
        assert said in result.stderr
    assert f"{named}/video.mp4" in result.stdout
    assert read_ffv1(named / "frames.mkv").shape == (11, SIZE, SIZE, 3)
    assert read_ffv1(named / "depth.mkv").shape == (11, SIZE, SIZE)


def test_json_and_the_same_bytes_again(generate):
    first = json.loads(generate("-o", "a", "--json", "--seed", 3).stdout)
    second = json.loads(generate("-o", "b", "--json", "--seed", 3).stdout)
    other = generate("-o", "c", "--seed", 4)
    assert first["frames"] == 11
    assert first["sample"] == "a"
    assert first["checkpoint"] == second["checkpoint"]
    assert len(first["checkpoint"]["sha256"]) == 64
    for name in ("frames.mkv", "depth.mkv"):
        a, b, c = (Path(folder, name).read_bytes() for folder in "abc")
        assert a == b != c
    assert other.exit_code == 0


@pytest.mark.parametrize(
    ("poses", "frames", "kind", "view"),
    [
        ("poses", 11, "pictures of drawn poses", "whole frame on black"),
        ("poses.mp4", 9, "a video of drawn poses", "centred square"),
        ("json", 5, "OpenPose JSON", "square around all joints"),
        ("poses/1.png", 1, "a picture of drawn poses", "whole frame on black"),
    ],
)
def test_every_kind_of_poses(generate, poses, frames, kind, view):
    result = generate("-o", "s", poses=poses)
    assert result.exit_code == 0, result.output
    assert kind in result.stderr
    assert view in result.stderr
    assert len(read_ffv1(Path("s/frames.mkv"))) == frames


def test_only_the_first_poses(generate):
    assert generate("-o", "s", "--frames", 4).exit_code == 0
    whole = generate("-o", "w", "--frames", 400)
    assert whole.exit_code == 0
    assert len(read_ffv1(Path("s/frames.mkv"))) == 4
    assert len(read_ffv1(Path("w/frames.mkv"))) == 11


def test_a_mask_cuts_out_the_person(generate, stuff):
    Image.fromarray(person()[..., :3]).save("opaque.png")
    Image.fromarray(person()[..., 3]).save("mask.png")
    masked = generate("-o", "a", "--mask", "mask.png", fg=Path("opaque.png").resolve())
    assert masked.exit_code == 0, masked.output
    assert generate("-o", "b").exit_code == 0
    assert Path("a/frames.mkv").read_bytes() == Path("b/frames.mkv").read_bytes()


def test_exports(generate):
    fails(generate("--export", "obj"), "--export obj: unknown; choose from viewer, ply")
    assert generate("-o", "s", "--export", "viewer,ply", "--frames", 2).exit_code == 0
    assert {path.name for path in Path("s").iterdir()} >= {"viewer.html", "ply"}


def test_frames_without_person_are_counted(generate, stuff):
    poses = drawn_poses(6)
    poses[2:4] = 0
    save_pictures(Path("gaps"), poses)
    result = generate("-o", "s", poses=Path("gaps").resolve())
    assert result.exit_code == 0
    assert "no person in 2 of 6 frames" in result.stderr


def test_an_existing_folder_is_not_touched(generate):
    assert generate("-o", "s").exit_code == 0
    before = Path("s/frames.mkv").read_bytes()
    again = generate("-o", "s", "--seed", 9)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert Path("s/frames.mkv").read_bytes() == before
    assert generate("-o", "s", "--seed", 9, "--overwrite").exit_code == 0
    assert Path("s/frames.mkv").read_bytes() != before
    Path("other").mkdir()
    Path("other/letter.txt").touch()
    assert "is no sample" in generate("-o", "other", "--overwrite").stderr
    assert Path("other/letter.txt").exists()


def test_the_default_folder_takes_the_next_free_number(generate, stuff):
    assert generate("--frames", 1).exit_code == 0
    assert generate("--frames", 1).exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [stuff.name, f"{stuff.name}-2"]


@pytest.mark.parametrize("name", ["fg", "bg", "poses", "ckpt"])
def test_what_is_missing_is_named(generate, name):
    fails(generate(**{name: "nothing.png"}), "nothing.png: no such")


def damaged_pictures(folder: Path) -> dict[str, tuple[Path, str]]:
    header = b"\x89PNG\r\n\x1a\n"

    def png(width: int, height: int) -> bytes:
        body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return header + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))

    whole = (folder / "bg.jpg").read_bytes()
    contents = {
        "empty": (b"", "not a readable picture"),
        "text": (b"hello", "not a readable picture"),
        "cut": (whole[: len(whole) // 2], "damaged"),
        "nothing": (png(0, 0), "pixels"),
        "large": (png(12_000, 10_000), "too many"),
        "huge": (png(40_000, 30_000), "pixels"),
    }
    made = {}
    for name, (content, said) in contents.items():
        made[name] = (Path(f"{name}.png").resolve(), said)
        made[name][0].write_bytes(content)
    return made


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "nothing", "large", "huge"])
def test_a_bad_picture_is_named(generate, stuff, kind):
    path, _ = damaged_pictures(stuff)[kind]
    fails(generate(fg=path), f"{kind}.png")
    fails(generate(bg=path), f"{kind}.png")


def test_a_foreground_without_anyone_is_refused(generate, stuff):
    Image.fromarray(person() * 0).save("ghost.png")
    fails(generate(fg=Path("ghost.png").resolve()), "ghost.png", "everything is cut out")
    Image.fromarray(np.zeros((40, 30), np.uint8)).save("black.png")
    fails(generate("--mask", "black.png"), "black.png", "everything is cut out")
    Image.fromarray(np.zeros((4, 3), np.uint8)).save("small.png")
    fails(generate("--mask", "small.png"), "small.png", "one size")


def test_poses_that_are_none(generate, stuff):
    Path("hollow").mkdir()
    fails(generate(poses=Path("hollow").resolve()), "hollow", "no poses in it")
    save_pictures(Path("black"), np.zeros((3, 32, 32, 3), np.uint8))
    fails(generate(poses=Path("black").resolve()), "black", "nobody is drawn in any of its 3 frames")
    save_pictures(Path("mixed"), drawn_poses(3))
    Image.fromarray(drawn_poses(1, 20, 20)[0]).save("mixed/4.png")
    fails(generate(poses=Path("mixed").resolve()), "4.png", "one size")
    write_json_poses(Path("bad"), 2)
    Path("bad/1_keypoints.json").write_text("{")
    fails(generate(poses=Path("bad").resolve()), "1_keypoints.json")
    fails(generate(poses=Path("bad/0_keypoints.json").resolve()), "name its folder")
    Path("letter.txt").write_text("hello")
    fails(generate(poses=Path("letter.txt").resolve()), "letter.txt")


def test_json_without_people(generate):
    Path("lonely").mkdir()
    Path("lonely/0.json").write_text('{"people": []}')
    fails(generate(poses=Path("lonely").resolve()), "lonely", "no person in any of its 1 frames")


def test_a_truncated_video(generate, stuff):
    write_mp4(Path("long.mp4"), drawn_poses(60, 64, 64), 25.0)
    content = Path("long.mp4").read_bytes()
    Path("cut.mp4").write_bytes(content[: len(content) // 2])
    Path("long.mp4").unlink()
    fails(generate(poses=Path("cut.mp4").resolve()), "cut.mp4")


def test_wrong_checkpoints(generate, stuff):
    fails(generate(ckpt="poses"), "poses", "not an IDOL checkpoint")
    shutil.copytree(stuff / "ckpt", "partial")
    shutil.rmtree("partial/unet")
    fails(generate(ckpt=Path("partial").resolve()), "partial", "incomplete, without unet")


@pytest.mark.parametrize("option", [("--steps", 2000), ("--seed", -1), ("--frames", 0), ("--device", "tpu")])
def test_settings_out_of_range(generate, option):
    result = generate(*option)
    assert result.exit_code == 2
    assert not list(Path().rglob("*.mkv"))


def test_a_gpu_that_is_not_there_is_no_reason_to_use_the_cpu(stuff, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    result = run(stuff / "fg.png", stuff / "bg.jpg", stuff / "poses", "--ckpt", stuff / "ckpt", "--device", "cuda")
    fails(result, "--device cuda", "no GPU")


def test_ctrl_c_leaves_nothing_behind(stuff, tmp_path):
    arguments = ["fg.png", "bg.jpg", "poses", "--ckpt", "ckpt", "--steps", "900", "--device", "cpu", "-o"]
    code = "from cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "generate", *arguments, str(tmp_path / "s")],
        cwd=stuff,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        until = time.monotonic() + 60
        while process.poll() is None and not list(tmp_path.glob(".writing-*")) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_drawings_and_photographs_are_told_apart():
    assert is_drawing(drawn_poses(1)[0])
    assert is_drawing(np.zeros((32, 32, 3), np.uint8)) is None
    assert not is_drawing(background())
    night = np.zeros((32, 32, 3), np.uint8)
    night[4:20, 4:20] = (120, 110, 100)
    assert not is_drawing(night)


def test_a_view_keeps_the_person_inside_without_distortion():
    assert View.around(64, 96, (0, 20, 64, 70)) == View(0, 16, 64, "the centred square")
    assert View.around(64, 96, (0, 10, 64, 70)) == View(-16, 0, 96, "the whole frame on black")
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[28:36, 44:52] = 255
    cut = View.around(64, 96, (0, 0, 64, 96)).cut(picture, 48)
    ys, xs = np.nonzero(cut[..., 0] > 127)
    assert (ys.max() - ys.min(), xs.max() - xs.min()) == (3, 3)
    assert (ys.min(), xs.min()) == (22, 22)


def test_what_the_user_says_counts(generate):
    pytest.importorskip("mediapipe")
    result = generate("--poses-are", "video")
    assert "a person, as you say" in result.stderr
    fails(result, "no person")


def test_a_picture_without_anyone_needs_a_mask(generate):
    pytest.importorskip("mediapipe")
    Image.fromarray(background(120, 160)).save("meadow.png")
    fails(generate(fg=Path("meadow.png").resolve()), "meadow.png", "no person found", "--mask")


@pytest.fixture
def clip(tmp_path):
    """A prepared clip of nine frames, wider than high."""
    joints = np.array([[40 + 4 * (i % 5), 4 + 3 * i] for i in range(18)], np.float32)
    xy = np.stack([joints + np.array([number, 0], np.float32) for number in range(9)])[:, None]
    writer = DatasetWriter(tmp_path / "data", recipe={"kind": "test"})
    writer.write_clip(
        ClipRecord(id="one", split="test", source="made up", fps=15.0),
        frames=np.zeros((9, 64, 96, 3), np.uint8),
        mask=np.ones((9, 64, 96), np.uint8),
        keypoints=Keypoints(xy=xy, score=np.ones((9, 1, 18), np.float32)),
    )
    writer.finish()
    return tmp_path / "data" / "clips" / "one"


def test_a_prepared_clip_gives_the_poses_that_training_sees(generate, clip):
    result = generate("-o", "s", "--json", poses=clip)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["fps"] == 15.0
    expected = clip_poses(Clip.open(clip), SIZE)
    poses = open_poses(clip, Look(size=SIZE), "auto", Output.of(quiet=True))
    assert np.array_equal(list(poses), expected)
    for source in (clip, clip.parent):
        with pytest.raises((DataShortage, PosesError), match="hands and face"):
            list(open_poses(source, Look(size=SIZE, style="whole_body"), "auto", Output.of(quiet=True)))
    whole = generate(poses=clip.parents[1])
    assert (whole.exit_code, "name one of its clips" in whole.stderr) == (2, True)


@pytest.mark.real
@pytest.mark.skipif("IDOL_REAL_MEDIA" not in os.environ, reason="set IDOL_REAL_MEDIA to the folder of real media")
def test_a_real_man_and_a_real_pose_video(generate):
    media = Path(os.environ["IDOL_REAL_MEDIA"])
    Image.fromarray(next(read_video(media / "juggling.mp4"))).save("man.png")
    result = generate("-o", "s", fg=Path("man.png").resolve(), poses=media / "pose_dwpose_a.mp4")
    assert result.exit_code == 0, result.output
    assert "the mask found in it" in result.stderr
    assert len(read_ffv1(Path("s/frames.mkv"))) == len(read_ffv1(Path("s/depth.mkv"))) == 136


@pytest.mark.real
@pytest.mark.skipif("IDOL_REAL_MEDIA" not in os.environ, reason="set IDOL_REAL_MEDIA to the folder of real media")
def test_a_real_man_drives(generate):
    media = Path(os.environ["IDOL_REAL_MEDIA"])
    result = generate("-o", "s", "--frames", 20, poses=media / "juggling.mp4")
    assert result.exit_code == 0, result.output
    assert "20 frames of a video of a person" in result.stderr
    assert "warning" not in result.stderr
