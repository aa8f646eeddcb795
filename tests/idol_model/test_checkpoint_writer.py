"""Checkpoints are written behind the training: what was copied, in order, one at a time, errors heard."""

import threading
from pathlib import Path

import pytest
import torch

from idol_model import checkpoint
from idol_model.checkpoint import Position
from idol_model.checkpoint_writer import CheckpointWriter


def at(step: int) -> Position:
    return Position(stage="image", stage_index=1, step=step)


def groups(weight: torch.Tensor) -> dict[str, dict[str, torch.Tensor]]:
    return {"model": {"weight": weight}, "optimizer": {"weight/step": torch.tensor(3)}}


class Disk:
    """The real one, which waits until it is told to go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, real = threading.Event(), checkpoint.save

        def save(*arguments):
            assert self.go.wait(20)
            return real(*arguments)

        monkeypatch.setattr(checkpoint, "save", save)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def saved(folder: Path, step: int) -> torch.Tensor:
    found = checkpoint.newest(folder)
    assert found is not None
    assert (found.position, found.extra["note"]) == (at(step), f"of {step}")
    return found.tensors("model")["weight"]


def test_weights_may_move_while_they_are_written(disk: Disk, tmp_path: Path) -> None:
    weight = torch.full((4, 3), 1.0)
    with CheckpointWriter(tmp_path) as writer:
        writer.save(at(1), groups(weight), {"note": "of 1"})
        weight.fill_(2.0)
        assert list(tmp_path.iterdir()) == []
        disk.go.set()
    assert torch.equal(saved(tmp_path, 1), torch.full((4, 3), 1.0))


def test_the_next_one_waits_for_the_one_before(disk: Disk, tmp_path: Path) -> None:
    weight, writer = torch.zeros(2), CheckpointWriter(tmp_path)
    writer.save(at(1), groups(weight), {"note": "of 1"})
    second = threading.Thread(target=writer.save, args=(at(2), groups(weight + 1), {"note": "of 2"}))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    disk.go.set()
    second.join()
    writer.finish()
    assert torch.equal(saved(tmp_path, 2), torch.ones(2))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["image-000001", "image-000002"]


def test_another_stage_with_other_tensors_is_copied_anew(tmp_path: Path) -> None:
    with CheckpointWriter(tmp_path) as writer:
        writer.save(at(1), groups(torch.zeros(2)), {"note": "of 1"})
        writer.save(at(2), groups(torch.ones(3, 3)) | {"ema": {}}, {"note": "of 2"})
        writer.save(at(3), groups(torch.ones(3, 3, dtype=torch.float64)), {"note": "of 3"})
    assert saved(tmp_path, 3).dtype == torch.float64


def test_an_error_is_raised_in_the_training_and_the_one_before_stays(tmp_path: Path) -> None:
    weight, writer = torch.zeros(2), CheckpointWriter(tmp_path)
    writer.save(at(1), groups(weight), {"note": "of 1"})
    writer.finish()
    (tmp_path / ".writing-image-000002").write_text("a file where the folder should be")
    writer.save(at(2), groups(weight), {"note": "of 2"})
    with pytest.raises(OSError, match="image-000002"):
        writer.finish()
    writer.check()  # said once
    (tmp_path / ".writing-image-000002").unlink()
    assert torch.equal(saved(tmp_path, 1), weight)


def test_what_is_under_way_is_ended_before_another_error_leaves(disk: Disk, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), CheckpointWriter(tmp_path) as writer:
        writer.save(at(1), groups(torch.zeros(2)), {"note": "of 1"})
        disk.go.set()
        raise ZeroDivisionError
    assert torch.equal(saved(tmp_path, 1), torch.zeros(2))
