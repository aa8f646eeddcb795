"""Still pictures into shards however the work is cut: by processes, in parts, killed, tried again."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from still_material import person, save, write_shhq

from idol_prep import engines
from idol_prep.schema import DataError, StillSet
from idol_prep.sources.shhq import SHHQSource
from idol_prep.still_options import StillLimits, StillOptions
from idol_prep.still_pipeline import prepare_stills
from idol_prep.still_planning import make_still_plan

OWN = StillOptions(mask="dataset", device="cpu", limits=StillLimits(min_area=0.01, min_person=64))


def contents(root: Path) -> dict[str, bytes]:
    files = (file for file in root.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def keys(stills: StillSet) -> list[str]:
    return [stills.sample(number).key for number in range(len(stills))]


@pytest.fixture(scope="module")
def shhq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = write_shhq(tmp_path_factory.mktemp("shhq"), 6)
    (raw / "segments" / "000003.png").unlink()
    return raw


@pytest.fixture(scope="module")
def whole(shhq: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run makes of it."""
    out = tmp_path_factory.mktemp("whole") / "out"
    prepare_stills(SHHQSource.open(shhq, per_shard=2), out, OWN)
    return contents(out)


def test_processes_make_the_same_set(shhq, whole, tmp_path):
    engine = engines.create("processes", workers=2)
    summary = prepare_stills(SHHQSource.open(shhq, per_shard=2), tmp_path / "out", OWN, engine=engine)
    assert (summary.clips, len(summary.rejected)) == (5, 1)
    assert contents(tmp_path / "out") == whole


def test_two_shards_are_one_run(shhq, whole, tmp_path):
    for part in (1, 2):
        prepare_stills(SHHQSource.open(shhq, per_shard=2), tmp_path / "out", replace(OWN, shard=(part, 2)))
        assert ("shards" in json.loads((tmp_path / "out" / "stills.json").read_text())) == (part == 2)
    assert contents(tmp_path / "out") == whole


def test_killed_again_and_again_and_then_the_same_command(shhq, whole, tmp_path):
    command = (
        "from pathlib import Path; from idol_prep.sources.shhq import SHHQSource;"
        "from idol_prep.still_options import StillLimits, StillOptions;"
        "from idol_prep.still_pipeline import prepare_stills;"
        f"prepare_stills(SHHQSource.open(Path({str(shhq)!r}), per_shard=2), Path({str(tmp_path / 'out')!r}),"
        "StillOptions(mask='dataset', device='cpu', limits=StillLimits(min_area=0.01, min_person=64)))"
    )
    rng = random.Random(0)
    for _ in range(4):
        run = subprocess.Popen([sys.executable, "-c", command])
        time.sleep(rng.uniform(0.25, 0.7))
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
    assert contents(tmp_path / "out") == whole


def test_failures_are_tried_again(shhq, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(shhq, raw)
    source = SHHQSource.open(raw, per_shard=2)
    prepare_stills(source, tmp_path / "out", OWN)
    again = prepare_stills(source, tmp_path / "out", OWN)
    assert (again.clips, again.kept_before, again.rejected_before) == (0, 5, 1)
    save(raw / "segments" / "000003.png", person(3)[1])
    tried = prepare_stills(SHHQSource.open(raw, per_shard=2), tmp_path / "out", replace(OWN, retry="failed"))
    assert (tried.clips, tried.kept_before, tried.rejected) == (2, 4, {})
    assert keys(StillSet.open(tmp_path / "out")) == [f"{n:06d}" for n in range(6)]


def test_other_pictures_are_another_set(shhq, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(shhq, raw)
    prepare_stills(SHHQSource.open(raw), tmp_path / "out", OWN)
    save(raw / "no_segment" / "000009.png", person(9)[0])
    with pytest.raises(DataError, match="made with pictures="):
        prepare_stills(SHHQSource.open(raw), tmp_path / "out", OWN)


def test_a_plan_writes_nothing(shhq, tmp_path):
    plan = make_still_plan(SHHQSource.open(shhq, per_shard=4), tmp_path / "out", OWN)
    assert (plan.groups, plan.settled, plan.pictures, plan.tried, plan.good) == (2, 0, 6, 4, 3)
    assert plan.bytes is not None
    assert plan.bytes > 6 * 10_000
    assert not (tmp_path / "out").exists()
