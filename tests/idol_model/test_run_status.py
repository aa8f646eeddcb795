"""A run read from outside: how far, how fast, whether somebody trains."""

from pathlib import Path

import pytest
import tiny_training
from tiny_training import Stop

from idol_model.run_state import RunFolder
from idol_model.run_status import read_status


def test_a_run_broken_off_is_stopped_where_its_log_ends(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        tiny_training.run(tiny_training.tiny(log_every=1), tmp_path, stop_at=("image", 3))
    found = read_status(tmp_path)
    assert found.state == "stopped"
    assert [(s.name, s.done, s.steps) for s in found.stages] == [("codec", 4, 4), ("image", 2, 4), ("video", 0, 4)]
    assert found.stages[1].seconds_left == pytest.approx(2 * found.stages[1].seconds_a_step)
    assert found.stages[2].seconds_left is None
    assert found.checkpoint == "image-000002"
    assert found.terms["total"] > 0
    with RunFolder(tmp_path).claimed():
        assert read_status(tmp_path).state == "training"


def test_a_finished_run(tmp_path: Path) -> None:
    tiny_training.run(tiny_training.tiny(), tmp_path)
    found = read_status(tmp_path)
    assert found.state == "finished"
    assert all(stage.done == stage.steps for stage in found.stages)
    assert found.origin["command"] == ["test"]
    assert 0 < found.terms["grad_share_motion"] < 1


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no run"):
        read_status(tmp_path)
