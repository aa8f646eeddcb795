"""``idol weights`` as typed, on a hub cache made here."""

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import build_app

NAME, REPO = "t2i-adapter-openpose", "models--TencentARC--t2iadapter_openpose_sd14v1"


def idol(*words: str) -> Result:
    return CliRunner().invoke(build_app(), ["weights", *words])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with one repository of two files, a small one and a large one."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    blobs, snapshot = tmp_path / REPO / "blobs", tmp_path / REPO / "snapshots" / "abc"
    small, large = b'{"channels": [8]}', b"weights" * 1000
    named = {
        "config.json": (small, hashlib.sha1(b"blob %d\0" % len(small) + small).hexdigest()),
        "diffusion_pytorch_model.safetensors": (large, hashlib.sha256(large).hexdigest()),
    }
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name, (content, digest) in named.items():
        (blobs / digest).write_bytes(content)
        (snapshot / name).symlink_to(Path("../../blobs") / digest)
    (tmp_path / REPO / "refs").mkdir()
    (tmp_path / REPO / "refs" / "main").write_text("abc")
    return tmp_path


def test_the_list_says_what_is_here_with_licence_and_size(cache: Path) -> None:
    listed = {row["name"]: row for row in json.loads(idol("list", "--json").stdout)["weights"]}
    assert listed[NAME]["bytes"] == 7017
    assert str(cache) in listed[NAME]["folder"]
    assert listed["sd-1.4"]["folder"] is None
    assert all(row["licence"] and row["get"].startswith("hf download ") for row in listed.values())
    assert "OpenRAIL" in idol("list").stdout


def test_whole_files_are_told_from_damaged_ones(cache: Path) -> None:
    whole = idol("verify", NAME, "--json")
    assert whole.exit_code == 0, whole.output
    assert {row["state"] for row in json.loads(whole.stdout)["files"]} == {"whole"}
    victim = next((cache / REPO / "snapshots" / "abc").glob("*.safetensors")).resolve()
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    damaged = idol("verify", NAME)
    assert damaged.exit_code != 0
    assert "diffusion_pytorch_model.safetensors: not what the hub promised" in damaged.stderr.replace("\n", "")


def test_weights_that_are_not_here_or_unknown_are_named(cache: Path) -> None:
    missing, unknown = idol("verify", "sd-1.4"), idol("get", "sd-9")
    assert missing.exit_code != 0
    assert "idol weights get sd-1.4" in missing.stderr.replace("\n", " ")
    assert unknown.exit_code != 0
    assert "choose from sd-image-variations" in unknown.stderr.replace("\n", " ")


def test_without_a_network_get_says_so_in_a_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    offline = idol("get", "sd-1.4")
    assert offline.exit_code != 0
    assert "the hub has given nothing for CompVis/stable-diffusion-v1-4" in offline.stderr.replace("\n", " ")
