"""A checkpoint is whole or is not there."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from idol_model import checkpoint
from idol_model.checkpoint import Position


def tensors(value: float = 1.0) -> dict[str, dict[str, torch.Tensor]]:
    return {"model": {"weight": torch.full((4, 3), value)}, "optimizer": {"weight/exp_avg": torch.zeros(4, 3)}}


def at(step: int, index: int = 0) -> Position:
    return Position(stage=("image", "video")[index], stage_index=index, step=step)


def test_what_was_saved_comes_back(tmp_path):
    checkpoint.save(tmp_path, at(5), tensors(2.0), {"scaler": {"scale": 8.0}})
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.position == at(5)
    assert found.extra["scaler"] == {"scale": 8.0}
    assert torch.equal(found.tensors("model")["weight"], torch.full((4, 3), 2.0))


def test_newest_is_by_stage_then_step_and_two_are_kept(tmp_path):
    for position in (at(900), at(1000), at(5, index=1)):
        checkpoint.save(tmp_path, position, tensors())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image-001000", "video-000005"]
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.position == at(5, index=1)


def test_nothing_there_is_none(tmp_path):
    assert checkpoint.newest(tmp_path / "absent") is None
    assert checkpoint.newest(tmp_path) is None


def test_half_written_folders_are_removed_and_never_read(tmp_path):
    checkpoint.save(tmp_path, at(5), tensors())
    half = tmp_path / ".writing-image-000010"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.position == at(5)
    assert not half.exists()


@pytest.mark.parametrize("spoil", ["truncate", "flip", "remove", "state"])
def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path, spoil):
    checkpoint.save(tmp_path, at(5), tensors(1.0))
    newest = checkpoint.save(tmp_path, at(10), tensors(2.0))
    file = newest / "model.safetensors"
    content = file.read_bytes()
    match spoil:
        case "truncate":
            file.write_bytes(content[:-7])
        case "flip":
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "remove":
            file.unlink()
        case "state":
            (newest / "state.json").write_text("{")
    with pytest.warns(UserWarning, match="image-000010"):
        found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.position == at(5)
    assert found.tensors("model")["weight"][0, 0] == 1.0


def test_a_full_disk_names_the_file_and_leaves_the_earlier_checkpoint(tmp_path):
    checkpoint.save(tmp_path, at(5), tensors())
    big = {"model": {"weight": torch.zeros(400_000)}}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"model\.safetensors"):
            checkpoint.save(tmp_path, at(10), big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path.name for path in tmp_path.iterdir()] == ["image-000005"]
    assert checkpoint.newest(tmp_path) is not None


WRITER = """
import sys, torch
from pathlib import Path
from idol_model import checkpoint
step = 0
while True:
    step += 1
    weights = {"weight": torch.full((300_000,), float(step))}
    position = checkpoint.Position(stage="image", stage_index=0, step=step)
    checkpoint.save(Path(sys.argv[1]), position, {"model": weights, "optimizer": weights})
    if step == 3:
        print("ready", flush=True)
"""


def test_a_kill_while_writing_leaves_only_right_checkpoints(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(4):
        time.sleep(0.037)
        process.send_signal(signal.SIGSTOP)
        check_all_right(tmp_path)
        process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
    process.stdout.close()
    check_all_right(tmp_path)
    assert checkpoint.newest(tmp_path) is not None


def check_all_right(folder):
    """Every folder with a final name is complete and holds what its name says."""
    for path in folder.glob("image-*"):
        found = checkpoint._read_state(path)
        assert found is not None
        assert checkpoint._damage(found) is None
        assert torch.all(found.tensors("model")["weight"] == float(found.position.step))
