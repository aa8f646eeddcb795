"""A part that crashes, runs over or fails in one figure is told of, and everything else goes on."""

import os
import sys
import time
from pathlib import Path

from benchmarks.gpu import processes
from benchmarks.gpu.figures import Figure, Skip, make_all
from benchmarks.gpu.ledger import Ledger, read
from benchmarks.gpu.setting import Setting

_PART = """
import os, sys, time
from pathlib import Path
from benchmarks.gpu.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
def abort(): os.abort()
def hang(): Path(sys.argv[1]).with_suffix(".pid").write_text(str(os.getpid())); time.sleep(60)
deeds = {"first": lambda: None, "second": {"abort": abort, "hang": hang}[sys.argv[2]], "third": lambda: None}
for name, deed in deeds.items():
    if name not in ledger.figures:
        ledger.begin(name)
        deed()
        ledger.done(name, {"value": 1})
"""


def run(tmp_path: Path, deed: str, seconds: float = 30.0, again: int = 0) -> dict:
    file = tmp_path / "part.json"
    command = [sys.executable, "-c", _PART, str(file), deed]
    part = processes.Part(name="part", command=command, ledger=file, until=time.time() + seconds, again=again)
    processes.run(part)
    return {name: found["status"] for name, found in read(file).items()}


def test_a_crash_costs_one_figure(tmp_path) -> None:
    assert run(tmp_path, "abort") == {"first": "done", "second": "failed", "third": "done"}
    assert "SIGABRT" in read(tmp_path / "part.json")["second"]["reason"]


def test_what_the_process_dies_of_is_tried_again_where_asked(tmp_path) -> None:
    assert run(tmp_path, "abort", again=1)["second"] == "failed"
    assert (tmp_path / "part.log").is_file()


def test_a_part_that_runs_over_is_ended(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.0)
    assert run(tmp_path, "hang", seconds=2.0) == {"first": "done", "second": "failed"}
    assert "its time was over" in read(tmp_path / "part.json")["second"]["reason"]
    pid = int((tmp_path / "part.pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_cannot_start_is_told(tmp_path) -> None:
    file = tmp_path / "part.json"
    part = processes.Part(name="part", command=[sys.executable, "-c", "1/0"], ledger=file, until=time.time() + 20)
    processes.run(part)
    assert read(file)["the part"]["reason"].startswith("the process ended with status 1")
    assert "ZeroDivisionError" in (tmp_path / "part.log").read_text()


def setting(tmp_path: Path, seconds: float = 20.0) -> Setting:
    until = time.time() + seconds
    return Setting(out=tmp_path, work=tmp_path, device="cpu", until=until, rehearse=True)


def test_figures_are_independent_and_say_why_they_are_missing(tmp_path) -> None:
    def fail() -> dict:
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    def absent() -> dict:
        raise Skip("cdfvd is not installed")

    ledger = Ledger(tmp_path / "part.json")
    kinds = [Figure("a", fail), Figure("b", absent), Figure("c", lambda: {"x": 1}), Figure("d", fail, needs=1e6)]
    assert make_all(kinds, ledger, setting(tmp_path)) == 0
    found = read(tmp_path / "part.json")
    assert found["a"]["reason"] == "RuntimeError: CUDA out of memory."
    assert found["b"] == {**found["b"], "status": "skipped", "reason": "cdfvd is not installed"}
    assert found["c"]["values"] == {"x": 1}
    assert found["d"]["status"] == "skipped"
    assert "about 1e+06 s" in found["d"]["reason"]


def test_a_second_invocation_keeps_what_is_well_and_tries_the_rest(tmp_path) -> None:
    ledger = Ledger(tmp_path / "part.json")
    ledger.done("kept", {"passed": True})
    ledger.done("wrong", {"passed": False})
    ledger.failed("failed", "once")
    ledger.skipped("skipped", "no time")
    ledger.forget_unsettled()
    assert list(read(tmp_path / "part.json")) == ["kept"]


def test_killed_while_writing_leaves_the_earlier_file(tmp_path) -> None:
    ledger = Ledger(tmp_path / "part.json")
    ledger.done("one", {"x": 1})
    (tmp_path / f".part.json.{os.getpid()}").write_text('{"figures": {"one"')  # a write that never ended
    assert Ledger(tmp_path / "part.json").figures["one"]["values"] == {"x": 1}
