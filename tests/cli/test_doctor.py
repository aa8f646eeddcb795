"""``idol doctor`` says what is here, and each gap comes with something to do."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import doctor
from cli.main import build_app


@pytest.fixture(scope="module")
def checks() -> list[doctor.Check]:
    return doctor.examine()


def test_every_topic_is_looked_at(checks: list[doctor.Check]) -> None:
    topics = {check.topic for check in checks}
    assert topics == {"python", "package", "device", "codec", "pose", "mask", "depth", "densepose", "weights", "disk"}


def test_every_gap_says_what_to_do(checks: list[doctor.Check]) -> None:
    assert [check for check in checks if check.state == "missing" and not check.todo] == []


def test_what_this_test_runs_on_is_ready(checks: list[doctor.Check]) -> None:
    states = {check.name: check.state for check in checks}
    assert [states[name] for name in ("torch", "diffusers", "av", "ffv1", "libx264")] == ["ready"] * 5


def test_an_apple_gpu_is_shown_as_never_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = {check.name: check for check in doctor._device()}
    assert (found["mps"].state, found["mps"].found) == ("note", "Apple GPU, never tried by this project")
    assert "--device mps" in found["mps"].todo


def test_a_missing_package_names_its_extra() -> None:
    check = doctor.look_for_package("no-such-package", "prep")
    assert check.state == "note"
    assert check.todo == "optional: pip install 'idol-video-depth[prep]'"
    assert doctor.look_for_package("no-such-package", None).state == "missing"


def test_a_full_disk_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 2**20))
    (check,) = doctor.look_at_disk(Path.cwd())
    assert "less than 2 GiB" in check.todo


def test_json_and_exit_code() -> None:
    outcome = CliRunner().invoke(build_app(), ["doctor", "--json"])
    assert outcome.exit_code == 0
    said = json.loads(outcome.stdout)
    assert said["missing"] == sum(check["state"] == "missing" for check in said["checks"])
