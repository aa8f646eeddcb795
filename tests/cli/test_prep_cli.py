import base64
import io
import json
import re
import subprocess
import sys

import pytest
from PIL import Image
from raw_material import without_mediapipe, write_dancer_video, write_empty_video, write_sequence
from typer.testing import CliRunner

from cli.main import build_app
from idol_prep.schema import Dataset

needs_mediapipe = pytest.mark.skipif(without_mediapipe(), reason="needs the extra prep")


def idol(*words: object):
    """Run ``idol`` with these words; stdout and stderr apart."""
    return CliRunner().invoke(build_app(), [str(word) for word in words])


@needs_mediapipe
def test_tiktok_needs_no_option(tmp_path, monkeypatch):
    write_sequence(tmp_path / "raw" / "TikTok_dataset" / "00001")
    monkeypatch.chdir(tmp_path)
    done = idol("prep", "tiktok", "raw")
    assert done.exit_code == 0, done.stderr
    assert "data/tiktok (default)" in done.stderr
    assert done.stderr.index("data/tiktok") < done.stderr.index("prepare")
    assert "mask      dataset" in done.stderr
    assert "an approximation" in done.stderr
    assert "approximate: depth" in done.stdout
    assert [record.id for record in Dataset.open(tmp_path / "data" / "tiktok").records()] == ["00001"]


@needs_mediapipe
def test_folder_as_json_with_rejects(tmp_path):
    write_dancer_video(tmp_path / "raw" / "a.mp4")
    write_empty_video(tmp_path / "raw" / "b.mp4")
    done = idol("prep", "folder", tmp_path / "raw", "-o", tmp_path / "out", "--size", 64, "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["clips"], result["frames_with_person"]) == (1, 12)
    assert result["rejected"] == {"b": "no person: nobody was found in any frame"}
    assert result["approximate"] == ["depth"]


@needs_mediapipe
def test_summary_table_shows_rejects_by_reason(tmp_path):
    write_dancer_video(tmp_path / "raw" / "a.mp4")
    write_dancer_video(tmp_path / "raw" / "b.mp4", frames=3)
    done = idol("prep", "folder", tmp_path / "raw", "-o", tmp_path / "out", "--size", 64)
    assert done.exit_code == 0, done.stderr
    assert "rejected: too short" in done.stdout
    assert "3 frames, at least 8" in done.stdout
    assert "frames/s" in done.stdout


@needs_mediapipe
def test_dry_run_writes_nothing(tmp_path):
    file = write_dancer_video(tmp_path / "a.mp4")
    done = idol("prep", "folder", file, "-o", tmp_path / "out", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["dry_run"], plan["clips"], plan["frames"]) == (True, 1, 12)
    assert not (tmp_path / "out").exists()


def test_synthetic_is_exact_and_repeats(tmp_path):
    words = ("prep", "synthetic", "-o", tmp_path / "out", "--clips", 2, "--size", 64, "--frames", 8, "--json")
    first = json.loads(idol(*words).stdout)
    again = json.loads(idol(*words).stdout)
    assert (first["clips"], first["frames"], again["clips"], again["kept_before"]) == (2, 16, 0, 2)
    assert first["content_hash"] == again["content_hash"]
    assert Dataset.open(tmp_path / "out").records()[0].approximate == ()


def test_annotators_are_listed_with_readiness_and_licence():
    done = idol("prep", "annotators", "--json")
    rows = {(row["kind"], row["name"]): row for row in json.loads(done.stdout)["annotators"]}
    assert {("pose", "mediapipe"), ("mask", "dataset"), ("depth", "landmarks")} <= set(rows)
    assert rows["depth", "landmarks"]["approximate"]
    assert all(row["licence"] for row in rows.values())
    assert "approximation" in idol("prep", "annotators").stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("tiktok", "absent"), "absent: no such folder"),
        (("folder", "absent"), "absent: no such file or folder"),
        (("folder", "."), "holds no video"),
        (("tiktok", "."), "expected 00001/images/0001.png"),
        (("folder", "text.mp4"), "nothing was prepared; text: unreadable:"),
        (("folder", "text.mp4", "--shard", "half"), "--shard half is no part; write I/N"),
        (("folder", "text.mp4", "--shard", "3/2"), "no shard 3/2"),
        (("folder", "text.mp4", "--size", "100"), "size 100 is not usable"),
        (("folder", "text.mp4", "--depth", "lidar"), "choose from dataset, hdnet, midas"),
        (("synthetic", "--split", "all"), "unknown split 'all'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    if "text.mp4" in words:
        (tmp_path / "text.mp4").write_text("no video")
        if without_mediapipe():
            pytest.skip("needs the extra prep")
    done = idol("prep", *words)
    assert done.exit_code == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("idol: error:")]
    assert complaint in line


@needs_mediapipe
def test_verify_finds_what_is_wrong(tmp_path):
    for name in "ab":
        write_dancer_video(tmp_path / "raw" / f"{name}.mp4")
    out = tmp_path / "out"
    assert idol("prep", "folder", tmp_path / "raw", "-o", out, "--size", 64).exit_code == 0
    good = idol("prep", "verify", out, "--json")
    assert (good.exit_code, json.loads(good.stdout)["problems"]) == (0, [])
    assert json.loads(good.stdout)["frames"] == 24
    track = out / "clips" / "b" / "mask.mkv"
    track.write_bytes(track.read_bytes()[:-7])
    (out / "clips" / "c").mkdir()
    bad = idol("prep", "verify", out, "--json")
    assert bad.exit_code == 1
    problems = {one["clip"]: one["problem"] for one in json.loads(bad.stdout)["problems"]}
    assert "c: a clip that the manifest does not list" in problems[""]
    assert "mask.mkv: is missing or changed" in problems["b"]


@needs_mediapipe
def test_report_is_one_page_with_every_clip(tmp_path):
    for name in ("a", "b<script>"):
        write_dancer_video(tmp_path / "raw" / f"{name}.mp4")
    write_empty_video(tmp_path / "raw" / "wall.mp4")
    out = tmp_path / "out"
    idol("prep", "folder", tmp_path / "raw", "-o", out, "--size", 64)
    done = idol("prep", "report", out, "--json")
    assert json.loads(done.stdout)["clips"] == 2
    page = (out / "report.html").read_text()
    (text,) = re.findall(r'id="data">(.*?)</script>', page)
    data = json.loads(text)
    assert [clip["id"] for clip in data["clips"]] == ["a", "b-script"]
    assert data["rejects"][0]["reason"].startswith("no person")
    assert {"worst", "frames", "mask_flicker", "resolution", "cuts"} <= set(data["scores"])
    picture = Image.open(io.BytesIO(base64.b64decode(data["clips"][0]["strip"])))
    assert picture.size == (320, 80)
    assert "http" not in page
    assert idol("prep", "verify", out, "--json").exit_code == 0


def test_the_commercial_policy_refuses_what_is_not_free(tmp_path):
    write_sequence(tmp_path / "00001")
    words = ("prep", "tiktok", tmp_path, "-o", tmp_path / "out", "--license-policy", "commercial")
    done = idol(*words, "--pose", "openpose")
    assert done.exit_code == 2
    assert "pose annotator 'openpose' is not for commercial use (CMU" in done.stderr
    assert not (tmp_path / "out").exists()


@needs_mediapipe
def test_limits_reject_with_the_reason(tmp_path):
    write_dancer_video(tmp_path / "a.mp4")
    words = ("prep", "folder", tmp_path / "a.mp4", "-o", tmp_path / "out", "--limit")
    done = idol(*words, "min_resolution=4")
    assert done.exit_code == 2
    assert "resolution: 0.4" in done.stderr
    assert "at least 4 is wanted" in done.stderr
    assert "no such limit" in idol(*words, "blur=1").stderr


def test_errors_of_a_source_come_as_json_too(tmp_path):
    done = idol("prep", "tiktok", tmp_path / "absent", "--json")
    assert json.loads(done.stdout)["exit_code"] == 2


def test_help_is_light():
    code = (
        "import sys; from typer.testing import CliRunner; from cli.main import build_app;"
        "assert CliRunner().invoke(build_app(), ['prep', 'tiktok', '--help']).exit_code == 0;"
        "assert not {'numpy', 'av', 'torch', 'mediapipe'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
