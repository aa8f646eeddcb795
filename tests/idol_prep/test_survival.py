"""Kills, shards and workers: whatever happens on the way, the dataset is the same in the end."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numbered
import numpy as np
import pytest

from idol_prep import engines
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.schema import DataError, Dataset
from idol_prep.sources.tiktok import TikTokSource

ROOT = Path(__file__).parents[2]
OPTIONS = PrepOptions(size=64, pose="numbered", mask="numbered", depth="numbered", clip_frames=20)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sequences: three whole, one in two clips, one too short, one broken in the middle."""
    folder = tmp_path_factory.mktemp("raw")
    for number, length in enumerate((12, 10, 33, 3, 14, 20), start=1):
        numbered.write_sequence(folder / f"{number:05d}", list(range(1, length + 1)))
    (folder / "00006" / "images" / "0012.png").write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def whole(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one undisturbed run leaves."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert started(raw, out).wait() == 0
    found = contents(out)
    assert sorted(path for path in found if path.endswith("clip.json")) == [
        f"clips/{name}/clip.json" for name in ("00001", "00002", "00003-part2", "00003", "00005", "00006")
    ]
    assert found["rejects.jsonl"].count(b"\n") == 2
    return found


def started(raw: Path, out: Path, shard: str = "1/1") -> subprocess.Popen:
    """A run of its own process group."""
    command = [sys.executable, str(ROOT / "tests" / "numbered.py"), str(raw), str(out), shard]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a dataset."""
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def kill_at_random(raw: Path, out: Path, kills: int, seed: int) -> int:
    """Kill run after run; returns how many were still at work. A finished dataset is begun anew."""
    rng, caught = random.Random(seed), 0
    for _ in range(kills):
        run = started(raw, out)
        time.sleep(rng.uniform(0.3, 1.6))
        caught += run.poll() is None
        run.kill()
        run.wait()
    return caught


def test_killed_again_and_again_and_then_the_same_command(raw, whole, tmp_path):
    caught = kill_at_random(raw, tmp_path / "out", 5, seed=1)
    assert caught >= 1
    assert started(raw, tmp_path / "out").wait() == 0
    assert contents(tmp_path / "out") == whole


@pytest.mark.slow
def test_killed_at_fifty_random_moments(raw, whole, tmp_path):
    """Dataset after dataset, five kills each, until fifty found a run at work."""
    caught = 0
    for round_ in range(50):
        out = tmp_path / str(round_)
        caught += kill_at_random(raw, out, 5, seed=round_)
        assert started(raw, out).wait() == 0
        assert contents(out) == whole
        if caught >= 50:
            return
    pytest.fail(f"only {caught} kills found a run at work")


def test_two_shards_at_once_are_one_process(raw, whole, tmp_path):
    runs = [started(raw, tmp_path / "out", shard) for shard in ("1/2", "2/2")]
    assert [run.wait() for run in runs] == [0, 0]
    assert contents(tmp_path / "out") == whole


# workers


class Deadly(numbered.NumberedPose):
    """Dies with its process at the clip whose frames begin with number 7, once or always."""

    def pose(self, batch):
        track = super().pose(batch)
        if round(float(track.keypoints.score[0].mean()) * 1000 - 500) == 7 and self.info.note != "tame":
            marker = Path(self.info.note)
            if not marker.exists() or marker.name == "always":
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return track


@pytest.fixture
def three(tmp_path: Path) -> TikTokSource:
    """Three sequences, the second deadly."""
    for number, first in ((1, 1), (2, 7), (3, 30)):
        numbered.write_sequence(tmp_path / "raw" / f"{number:05d}", list(range(first, first + 10)))
    return TikTokSource.open(tmp_path / "raw")


def crew_of(job, note: str):
    """Two processes in which the numbered annotators are known."""
    from idol_prep.engines.processes import ProcessCrew

    os.environ["IDOL_TEST_NOTE"] = note
    return ProcessCrew(job, 2, prepare_worker=know_numbered)


def know_numbered() -> None:
    """Run by each worker as it begins."""
    numbered.register()
    note = os.environ["IDOL_TEST_NOTE"]
    entry = numbered.annotators.ENTRIES["pose", "numbered"]

    def make(module, given):
        return Deadly(replace(entry.describe(module), note=note))

    numbered.annotators.ENTRIES["pose", "numbered"] = replace(entry, make=make)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered.annotators, "ENTRIES", dict(numbered.annotators.ENTRIES))
    numbered.register()


def supervised(note: str):
    from idol_prep.engines.supervisor import Supervised

    return Supervised(lambda job: crew_of(job, note))


def on_ray(note: str):
    """Ray with two workers on this machine, which find the tests' modules."""
    pytest.importorskip("ray")
    from idol_prep.engines.ray_cluster import RayCrew
    from idol_prep.engines.supervisor import Supervised

    os.environ["IDOL_TEST_NOTE"] = note
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "idol_prep")))
    return Supervised(lambda job: RayCrew(job, 2, prepare_worker=know_numbered))


def test_processes_make_the_same_dataset(raw, whole, tmp_path, known):
    heard = []
    summary = prepare(TikTokSource.open(raw), tmp_path / "out", OPTIONS, heard.append, supervised("tame"))
    assert (summary.clips, len(summary.rejected)) == (6, 2)
    assert heard[-1].clips_done == 6
    assert contents(tmp_path / "out") == whole


def test_a_worker_that_dies_once_is_replaced(three, tmp_path, known):
    summary = prepare(three, tmp_path / "out", OPTIONS, engine=supervised(str(tmp_path / "once")))
    assert (summary.clips, summary.rejected) == (3, {})


def test_a_video_that_kills_workers_is_rejected_with_the_reason(three, tmp_path, known):
    summary = prepare(three, tmp_path / "out", OPTIONS, engine=supervised(str(tmp_path / "always")))
    assert summary.clips == 2
    assert summary.rejected["00002"].startswith("worker died: 2 times at 00002 (exit code -9)")
    assert '"stage": "worker"' in (tmp_path / "out" / "rejects.jsonl").read_text()
    again = prepare(three, tmp_path / "out", replace(OPTIONS, retry="failed"), engine=supervised("tame"))
    assert (again.clips, again.kept_before) == (1, 2)
    assert not (tmp_path / "out" / "rejects.jsonl").exists()


def test_what_concerns_the_whole_run_ends_it(three, tmp_path, known):
    options = replace(OPTIONS, depth="landmarks")
    prepare(three, tmp_path / "out", OPTIONS)
    with pytest.raises(DataError, match="holds clips made with depth='numbered 1'"):
        prepare(three, tmp_path / "out", options, engine=supervised("tame"))


@pytest.mark.slow
def test_ray_with_two_workers_makes_the_same_dataset(raw, whole, tmp_path, known):
    summary = prepare(TikTokSource.open(raw), tmp_path / "out", OPTIONS, engine=on_ray("tame"))
    assert summary.clips == 6
    assert contents(tmp_path / "out") == whole


@pytest.mark.slow
def test_ray_rejects_a_video_that_kills_its_workers(three, tmp_path, known):
    summary = prepare(three, tmp_path / "out", OPTIONS, engine=on_ray(str(tmp_path / "always")))
    assert summary.clips == 2
    assert summary.rejected["00002"].startswith("worker died: 2 times at 00002")


@pytest.mark.parametrize(
    ("name", "workers", "complaint"),
    [("local", 2, "has one worker"), ("processes", 0, "0 workers do nothing"), ("slurm", 1, "unknown engine 'slurm'")],
)
def test_engines_that_cannot_be(name, workers, complaint):
    with pytest.raises(DataError, match=complaint):
        engines.create(name, workers=workers)


# rejects


def test_retrying_failures_leaves_what_was_filtered(raw, tmp_path, known):
    source = TikTokSource.open(raw)
    prepare(source, tmp_path / "out", OPTIONS)
    again = prepare(source, tmp_path / "out", replace(OPTIONS, retry="failed"))
    assert (again.kept_before, again.rejected_before, again.clips) == (6, 1, 0)


def test_an_annotator_that_fails_in_the_middle_loses_only_that_clip(tmp_path, known, monkeypatch):
    numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 61)))

    def failing(self, batch):
        if 30 <= np.argmax(batch.frames.std(axis=(1, 2, 3))) + batch_number(batch) <= 35:
            raise RuntimeError("the network fails")
        return numbered.NumberedPose.pose(self, batch)

    def batch_number(batch) -> int:
        grey = batch.frames[0].mean(axis=-1)
        return numbered.number_on(grey[numbered.board_of(grey > 75)])

    entry = numbered.annotators.ENTRIES["pose", "numbered"]
    failing_pose = type("FailingPose", (numbered.NumberedPose,), {"pose": failing})
    made = replace(entry, make=lambda module, given: failing_pose(entry.describe(module)))
    monkeypatch.setitem(numbered.annotators.ENTRIES, ("pose", "numbered"), made)
    summary = prepare(TikTokSource.open(tmp_path / "raw"), tmp_path / "out", OPTIONS)
    assert summary.rejected == {"00001-part2": "fault: RuntimeError: the network fails"}
    assert [record.id for record in Dataset.open(tmp_path / "out").records()] == ["00001", "00001-part3"]
