"""The command itself: starts what runs beside, then part after part, and keeps the time. Imports nothing heavy."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.gpu import processes, summary
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.ledger import Ledger
from benchmarks.gpu.setting import Setting

_ENOUGH = "stop-drawing"


def run(setting: Setting, parts: Sequence[str], budget: Budget, command: str) -> dict:
    """Run ``parts`` in their order; the summary, which is on disk too."""
    setting.out.mkdir(parents=True, exist_ok=True)
    setting.work.mkdir(parents=True, exist_ok=True)
    _job(setting, "machine", timeout=60)
    beside = _beside(setting, parts)
    try:
        for name in parts:
            if name == "train":
                _stop_drawing(setting, beside, budget)
            _part(setting, name, budget)
            summary.write(setting, parts, command)
    finally:
        for process in beside:
            processes.end(process)
    return summary.write(setting, parts, command)


def _part(setting: Setting, name: str, budget: Budget) -> None:
    now = time.time()
    until = budget.of(name, now)
    ledger = setting.work / f"{name}.json"
    if name == "train":
        ledger.unlink(missing_ok=True)  # each invocation trains on
    if until - now < 2:
        Ledger(ledger).skipped("the part", "no time was left for it")
        return
    own = replace(setting, until=until)
    words = [sys.executable, "-m", "benchmarks.gpu", "--part", name, *own.arguments()]
    again = 2 if name == "train" else 0
    processes.run(processes.Part(name=name, command=words, ledger=ledger, until=until, again=again), _say)
    if name == "train" and Ledger(ledger).figures.get("model", {}).get("status") != "done":
        _job(replace(setting, device="cpu"), "finish", timeout=max(5.0, budget.until - time.time()))


def _beside(setting: Setting, parts: Sequence[str]) -> list[subprocess.Popen]:
    """Workers that need no GPU and see none; two processors are left for what is measured."""
    started = []
    if "training_memory" in parts:
        started.append(_start(setting, "plans"))
    if "train" in parts:
        (setting.work / _ENOUGH).unlink(missing_ok=True)
        workers = 2 if setting.rehearse else max(1, (os.cpu_count() or 2) - 2 - len(started))
        started += [_start(setting, "draw", str(number)) for number in range(workers)]
    return started


def _stop_drawing(setting: Setting, beside: Sequence[subprocess.Popen], budget: Budget) -> None:
    """Let every worker finish its data set, having drawn for a while at least."""
    patience = time.time() + budget.drawing_before_training(time.time())
    while time.time() < patience and any(process.poll() is None for process in beside):
        time.sleep(0.2)
    (setting.work / _ENOUGH).touch()
    for process in beside:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            processes.end(process)


def _start(setting: Setting, job: str, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.gpu", "--job", job, *setting.arguments(), "--", *words]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with open(setting.work / f"{job}{''.join(f'-{word}' for word in words)}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def _job(setting: Setting, job: str, timeout: float) -> None:
    """Run a job and wait for it; one that fails or takes too long is not waited for further."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--job", job, *setting.arguments()]
    with open(setting.work / f"{job}.log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            _say(f"{job}: took more than {timeout:.0f} s and was ended")
        finally:
            processes.end(process)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
