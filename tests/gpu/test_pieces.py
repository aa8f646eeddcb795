"""What the GPU benchmark is put together from: time, steps, profiles, goals, wheels, manifests."""

import dataclasses
import zipfile

import numpy as np
import pytest
import torch

from benchmarks.gpu import budget, goals, manifest, profiling, rounds, schedule, shipping, wheels
from benchmarks.gpu.compare import error
from benchmarks.gpu.setting import Setting
from idol_model import recipes
from idol_prep._manifest import Manifest, write_manifest
from idol_prep.sources import synthetic


def test_errors_are_relative_and_over_all_tensors() -> None:
    true = [torch.ones(3), torch.full((1,), 2.0)]
    assert error([tensor * 1.001 for tensor in true], true) == pytest.approx(1e-3, rel=1e-3)
    assert error([torch.ones(3), torch.full((1,), 2.5)], true) == pytest.approx(0.5 / 7**0.5)


def test_gaps_are_the_time_without_a_kernel() -> None:
    found = profiling.summarised([("b", 30, 40), ("a", 0, 10), ("a", 5, 20), ("inside", 6, 7)])
    assert (found["wall_ms"], found["busy_ms"]) == (0.04, 0.03)
    assert found["gaps"] == pytest.approx(0.25)
    assert found["top"][0] == {"name": "a", "calls": 2, "ms": 0.025}


def test_shares_of_nine_minutes_and_of_fewer() -> None:
    whole = budget.Budget(began=0.0, minutes=9)
    assert [whole.of(part, 100.0) - 100.0 for part in budget.SECONDS] == [60, 150, 60, 30]
    assert whole.of("train", 300.0) == 540 - 15
    assert budget.Budget(began=0.0, minutes=3).of("table7", 0.0) == pytest.approx(50)
    assert whole.of("table7", 500.0) == 540
    assert budget.Budget(began=0.0, minutes=18).of("metrics", 0.0) == 30
    assert budget.Budget(began=0.0, minutes=18, stretched=True).of("metrics", 0.0) == 60
    assert budget.chosen("train, correct") == ["correct", "train"]
    with pytest.raises(ValueError, match="--parts speed: unknown"):
        budget.chosen("speed")


def test_the_largest_batch_that_pays() -> None:
    took = {8: 1.0, 16: 1.1, 32: 1.3, 64: 2.5}
    chosen, tried = schedule.best((8, 16, 32, 64), took.__getitem__)
    assert (chosen.batch, [pace.batch for pace in tried]) == (32, [8, 16, 32, 64])

    def full(batch: int) -> float:
        if batch > 8:
            raise RuntimeError("CUDA out of memory")
        return 1.0

    assert schedule.best((8, 16), full)[0].batch == 8
    assert schedule.steps(schedule.Pace(batch=8, seconds=0.5), 100) == 180
    assert schedule.save_every(schedule.Pace(batch=8, seconds=0.5)) == 60


def test_runs_of_one_stage_are_the_recipes_own() -> None:
    demo, pace = recipes.get("demo"), schedule.Pace(batch=32, seconds=0.1)
    image = schedule.stage_run(demo, "image", pace, 700, "before")
    assert (image.codec_stage, image.init_from, len(image.stages)) == (None, "before", 1)
    own = dataclasses.replace(demo.stages[0], steps=700, batch_size=32, lr=2 * demo.stages[0].lr)
    assert image.stages[0] == own
    codec = schedule.codec_run(demo, pace, 300, 2048)
    assert codec.codec_stage is not None
    assert (codec.stages, codec.codec_stage.steps, codec.codec_stage.pictures) == ((), 300, 2048)
    assert rounds.cut_short(image, 120).stages[0].steps == 120


def test_goals_follow_from_figures() -> None:
    def row(seconds: float, memory: float) -> dict:
        return {"values": {"without guidance": {"seconds": seconds, "peak_gb": memory, "flop_rate": 3e14}}}

    table = {
        "matrix products": {"values": {"flop_per_second": {"bf16": 6e14}}},
        "idol: bf16": row(0.7, 7.0),
        "video-only: bf16": row(0.3, 5.0),
        "separate: bf16": row(0.8, 11.0),
    }
    found = {one["goal"].split(" (")[0]: one for one in goals.goals({"table7": table})}
    assert [one["met"] for one in found.values()] == [True, True, False, True, True, None]
    assert found["share of the measured bf16 matrix rate"]["value"] == pytest.approx(0.5)


def test_wheels_are_small_enough_or_refused(tmp_path) -> None:
    wheels.check({"a": wheels.MOST})
    with pytest.raises(ValueError, match=r"48\.0 MB, more than 48"):
        wheels.check({"a": wheels.MOST, "b": 10})
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/__init__.py", "x = 1\n" * 1000)
    (tmp_path / "packed").mkdir()
    wheels.repack(tmp_path / "a.whl", tmp_path / "packed" / "a.whl")
    with zipfile.ZipFile(tmp_path / "packed" / "a.whl") as wheel:
        assert wheel.read("a/__init__.py") == b"x = 1\n" * 1000
    assert (tmp_path / "packed" / "a.whl").stat().st_size < (tmp_path / "a.whl").stat().st_size


def test_archives_hold_the_model_and_no_file_is_large(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shipping, "_ROOM", 5000)
    folder, out = tmp_path / "work" / "model", tmp_path / "out"
    (folder / "unet").mkdir(parents=True)
    for number, size in enumerate((3000, 2500, 1000, 10)):
        (folder / "unet" / f"{number}").write_bytes(bytes([number]) * size)
    assert len(shipping.pack(folder, out)) == 2
    setting = Setting(out=out, work=tmp_path / "other", device="cpu", until=0.0)
    found = shipping.carried(setting)
    assert found is not None
    assert {file.name: file.stat().st_size for file in (found / "unet").iterdir()} == {
        "0": 3000,
        "1": 2500,
        "2": 1000,
        "3": 10,
    }


def test_lines_of_json_answer_as_the_manifest_does(tmp_path) -> None:
    dataset = synthetic.generate(tmp_path / "data", 3, 7, size=(32, 32), frames=4)
    records = list(dataset.records())
    write_manifest(tmp_path / "m.parquet", records)
    manifest.write_lines(tmp_path / "m.jsonl", records)
    ours, theirs = manifest.LinesManifest(tmp_path / "m.jsonl"), Manifest(tmp_path / "m.parquet")
    for name in ("id", "split", "sha256", "frames", "depth_polarity", "keypoint_format", "fps"):
        assert ours.column(name).tolist() == theirs.column(name).tolist()
    asked = {"frames": (2, None)}
    assert ours.select("train", asked) == theirs.select("train", asked)
    assert ours.record(1) == records[1]
    assert np.array_equal(ours.column("depth_low"), theirs.column("depth_low"))
