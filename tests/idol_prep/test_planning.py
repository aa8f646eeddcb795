"""What a dry run says of the time, by a clock that only depth moves on."""

from dataclasses import replace

import numbered
import pytest

from idol_prep import _trial
from idol_prep._trial import spread
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.planning import make_plan
from idol_prep.quality import QualityLimits
from idol_prep.sources.tiktok import TikTokSource

OPTIONS = PrepOptions(size=64, pose="numbered", mask="numbered", depth="slow")
SECONDS = 0.03


class Clock:
    """Seconds that pass when somebody says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowDepth(numbered.NumberedDepth):
    """Takes its time over each frame, and a second more over the first of all, as networks do that start."""

    clock: Clock

    def depth(self, batch):
        self.clock.now += SECONDS * len(batch.frames) + (0 if self.clock.now else 1.0)
        return super().depth(batch)


@pytest.fixture(autouse=True)
def numbered_annotators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered.annotators, "ENTRIES", dict(numbered.annotators.ENTRIES))
    numbered.register()
    entry = numbered.annotators.ENTRIES["depth", "numbered"]
    info = entry.describe(None)
    monkeypatch.setattr(SlowDepth, "clock", Clock(), raising=False)
    monkeypatch.setattr(_trial, "monotonic", SlowDepth.clock)
    numbered.annotators.ENTRIES["depth", "slow"] = replace(entry, make=lambda module, given: SlowDepth(info))


def test_the_time_counts_depth_and_leaves_out_the_start(tmp_path):
    for name in ("00001", "00002"):
        numbered.write_sequence(tmp_path / "raw" / name, list(range(1, 31)))
    plan = make_plan(TikTokSource.open(tmp_path / "raw"), tmp_path / "out", OPTIONS)
    assert (plan.frames, plan.clips) == (60, 2)
    assert plan.seconds == pytest.approx(60 * SECONDS)
    assert not (tmp_path / "out").exists()


def test_a_clip_that_gives_nothing_is_not_what_time_is_told_by(tmp_path):
    broken = numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 11)))
    (broken / "images" / "0001.png").write_bytes((broken / "images" / "0001.png").read_bytes()[:120])
    numbered.write_sequence(tmp_path / "raw" / "00002", list(range(1, 31)))
    source = TikTokSource.open(tmp_path / "raw")
    plan = make_plan(source, tmp_path / "out", OPTIONS)
    assert plan.seconds == pytest.approx(plan.frames * SECONDS)
    assert plan.frames >= 30


def test_bytes_are_those_of_the_run(tmp_path):
    for name in ("00001", "00002"):
        numbered.write_sequence(tmp_path / "raw" / name, list(range(1, 41)))
    source = TikTokSource.open(tmp_path / "raw")
    plan = make_plan(source, tmp_path / "out", OPTIONS)
    prepare(source, tmp_path / "out", OPTIONS)
    written = sum(file.stat().st_size for file in (tmp_path / "out" / "clips").glob("*/*"))
    assert plan.bytes == pytest.approx(written, rel=0.05)


def test_limits_and_cuts_do_not_keep_a_clip_from_being_tried(tmp_path):
    numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 31)))
    strict = replace(OPTIONS, limits=QualityLimits(min_resolution=99), clip_frames=10)
    plan = make_plan(TikTokSource.open(tmp_path / "raw"), tmp_path / "out", strict)
    assert plan.seconds == pytest.approx(30 * SECONDS)


def test_where_no_clip_is_good_nothing_is_said_of_time_and_bytes(tmp_path):
    broken = numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 11)))
    (broken / "images" / "0001.png").write_bytes(b"")
    plan = make_plan(TikTokSource.open(tmp_path / "raw"), tmp_path / "out", OPTIONS)
    assert (plan.bytes, plan.seconds) == (None, None)


def test_clips_are_tried_all_over_the_list():
    assert spread(list(range(10)), 3) == [1, 5, 8]
    assert spread(list(range(2)), 3) == [0, 1]
    assert spread([], 3) == []


def test_finished_clips_take_no_time(tmp_path):
    numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 11)))
    source = TikTokSource.open(tmp_path / "raw")
    prepare(source, tmp_path / "out", OPTIONS)
    plan = make_plan(source, tmp_path / "out", OPTIONS)
    assert (plan.finished, plan.frames, plan.seconds) == (1, 0, None)
