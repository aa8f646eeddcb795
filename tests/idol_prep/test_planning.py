"""What a dry run says of the time, by a clock that only depth moves on."""

from dataclasses import replace

import numbered
import pytest

from idol_prep import planning
from idol_prep.pipeline import PrepOptions, prepare
from idol_prep.planning import make_plan
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
    monkeypatch.setattr(planning, "monotonic", SlowDepth.clock)
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


def test_finished_clips_take_no_time(tmp_path):
    numbered.write_sequence(tmp_path / "raw" / "00001", list(range(1, 11)))
    source = TikTokSource.open(tmp_path / "raw")
    prepare(source, tmp_path / "out", OPTIONS)
    plan = make_plan(source, tmp_path / "out", OPTIONS)
    assert (plan.finished, plan.frames, plan.seconds) == (1, 0, None)
