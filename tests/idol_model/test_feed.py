"""Feeds: still pictures, several sources, what they lack, and what cannot be read."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_recipes import tiny as narrow
from tiny_training import Stop, dancers, run, tiny
from torch.nn import functional

from idol_model.data import DataShortage
from idol_model.feed.faults import FILE, Fault, FaultLog, TooManyFaults, most_of, read_faults
from idol_model.feed.feed import default_readers
from idol_model.feed.run_data import Places, RunData
from idol_model.feed.sources import Reading
from idol_model.feed.training_data import DataPart, TrainingData
from idol_model.inputs import ClipInputs
from idol_model.latents import Encoders
from idol_model.model import IdolModel
from idol_model.pipeline import IdolPipeline
from idol_model.recipe import Recipe
from idol_model.trainer import TrainingStopped
from idol_prep._still_shard import EncodedStill, StillRecord
from idol_prep.pose import Keypoints
from idol_prep.schema import ClipRecord, Dataset, DatasetWriter, DepthTrack
from idol_prep.stills import StillWriter, encode_picture

SHARDS, SAMPLES, TALL, WIDE = 3, 8, 80, 40


def still(number: int) -> EncodedStill:
    """A bright person, upright in a dark room, tall as the picture."""
    picture = np.random.default_rng(number).integers(0, 90, (TALL, WIDE, 3), np.uint8)
    mask = np.zeros((TALL, WIDE), np.uint8)
    mask[4:-4, 12:28] = 255
    picture[mask > 0] = 200 + number
    record = StillRecord(key=f"p{number:03d}", source=str(number), height=TALL, width=WIDE, box=(12, 4, 28, TALL - 4))
    return EncodedStill(record=record, suffix=".png", picture=encode_picture(picture), mask=encode_picture(mask))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("stills") / "set"
    writer = StillWriter(root, groups=SHARDS, recipe={"kind": "test"}, info={"source": {"name": "test"}})
    for group in range(SHARDS):
        writer.write_group(group, (still(group * SAMPLES + i) for i in range(SAMPLES)))
    assert writer.finish() is not None
    return root


def pretraining(steps: int = 3, **stage) -> Recipe:
    recipe = narrow("haop")
    first = dataclasses.replace(recipe.stages[0], steps=steps, batch_size=4, **stage)
    return dataclasses.replace(recipe, stages=(first,), log_every=1, save_every=2, weights=(), init_from=None)


def run_data(recipe: Recipe, data, folder: Path) -> RunData:
    torch.manual_seed(0)
    opened = TrainingData.open(data)
    opened.check(recipe)
    encoders = Encoders.of(IdolModel.from_recipe(recipe))
    return RunData(opened, recipe, lambda: encoders, Places(folder, folder / "latents"))


def test_pictures_of_shards_become_batches(pictures, tmp_path):
    recipe = pretraining()
    feed = run_data(recipe, pictures, tmp_path).feed(recipe.stages[0])
    epoch = [feed.batch(feed.plan.step(step)) for step in range(SHARDS * SAMPLES // 4)]
    assert sorted(id for batch in epoch for id in batch.ids) == [f"p{number:03d}" for number in range(24)]
    batch = epoch[0]
    assert batch.video_BLCHW.shape == (4, 1, 3, 32, 32)
    assert batch.pose_BLCHW.abs().sum() == 0
    again = feed.batch(feed.plan.step(0))
    assert torch.equal(again.video_BLCHW, batch.video_BLCHW)
    assert torch.equal(again.foreground_BCHW, batch.foreground_BCHW)
    half = feed.batch(feed.plan.step(0)[2:])
    assert torch.equal(half.video_BLCHW, batch.video_BLCHW[2:])


def test_one_square_holds_for_all_tracks_and_moves_along_a_tall_picture(pictures, tmp_path):
    recipe = pretraining().override(["data.augment=hap"])
    feed = run_data(recipe, pictures, tmp_path).feed(recipe.stages[0])
    heads = feet = 0
    for step in range(12):
        batch = feed.batch(feed.plan.step(step))
        person = (batch.video_BLCHW[:, 0].mean(1) > 0.4).float()
        inside = 1 - functional.max_pool2d(1 - person, 3, 1, 1)  # without the outline, where resizing blends the two
        assert (batch.background_BCHW.abs().amax(1)[inside > 0] < 0.02).all()
        rows = person.any(2)
        heads, feet = heads + int((~rows[:, 0]).sum()), feet + int((~rows[:, -1]).sum())
    assert heads > 0
    assert feet > 0


def test_batches_do_not_depend_on_how_many_threads_read_them(pictures, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(pictures, root)
    (root / "shards" / "000001.tar").write_bytes(b"")  # replaced items too
    recipe, opened = pretraining().override(["data.most_faults=0.5"]), TrainingData.open(root)
    encoders, found = Encoders.of(IdolModel.from_recipe(recipe)), []
    for readers in (1, 5):
        data = RunData(opened, recipe, lambda: encoders, Places(tmp_path / str(readers), tmp_path), readers)
        (tmp_path / str(readers)).mkdir()
        feed = data.feed(recipe.stages[0])
        found.append([feed.batch(feed.plan.step(step)) for step in range(4)])
    for one, many in zip(*found, strict=True):
        assert one.ids == many.ids
        for field in ("video_BLCHW", "foreground_BCHW", "background_BCHW"):
            assert torch.equal(getattr(one, field), getattr(many, field))


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(24)), raising=False)
    found = []
    for processes in ("1", "4", "99"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        found.append(default_readers())
    assert found == [16, 6, 1]


def test_training_on_pictures_continues_exactly(pictures, tmp_path):
    recipe = pretraining(steps=4)
    with pytest.raises(Stop):
        run(recipe, tmp_path / "cut", stop_at=("attributes", 3), data=pictures)
    cut, whole = (
        IdolPipeline.from_pretrained(run(recipe, tmp_path / name, data=pictures)).unet.state_dict()
        for name in ("cut", "whole")
    )
    assert all(torch.equal(cut[name], whole[name]) for name in whole)


def test_no_number_names_the_pictures(pictures, tmp_path):
    recipe = pretraining(steps=20, lr=1e30, warmup=0.0)
    with pytest.raises(TrainingStopped, match=r"stage attributes, step \d+: .* is not a number \(clips: p0\d\d, p0"):
        run(recipe, tmp_path, data=pictures)


@pytest.mark.parametrize(
    ("name", "change", "lacks"),
    [
        ("idol", [], "no depth track"),
        ("video-only", [], "no poses"),
        ("haop", ["data.background=mixed"], "no clean plate"),
        ("haop", ["stages.0.frames=8"], "no frames in a row"),
    ],
)
def test_what_pictures_cannot_give_is_said_first(pictures, tmp_path, name, change, lacks):
    recipe = narrow(name).override(change)
    with pytest.raises(DataShortage, match=f"still pictures have {lacks}, which recipe {name} needs"):
        run(recipe, tmp_path / "run", data=pictures)
    assert not (tmp_path / "run").exists()


# ---- clips: tracks and polarity


def little(root: Path, *, depth: str | None = "distance", plate: bool = True, split: str = "train") -> Path:
    """Two clips of ten frames, the second one without depth where ``depth`` is None."""
    writer = DatasetWriter(root, recipe={"kind": "little"})
    for number in range(2):
        frames = np.random.default_rng(number).integers(0, 255, (10, 32, 32, 3), np.uint8)
        mask = np.zeros((10, 32, 32), np.uint8)
        mask[:, 8:24, 8:24] = 1
        points = np.full((10, 1, 18, 2), 12, np.float32)
        track = DepthTrack(values=mask * 2.0 + frames[..., 0] / 255, polarity=depth or "distance", scope="person")
        writer.write_clip(
            ClipRecord(id=f"c{number}", split=split, source="noise", fps=12),
            frames=frames,
            mask=mask,
            keypoints=Keypoints(xy=points, score=np.ones((10, 1, 18), np.float32)),
            depth=None if depth is None and number == 1 else track,
            background=frames[0] if plate else None,
        )
    writer.finish()
    return root


def test_a_missing_track_is_named_before_anything_is_trained(tmp_path):
    blind = little(tmp_path / "blind", depth=None)
    with pytest.raises(DataShortage, match=r"blind: clip c1 has no depth track; prepare it again with a depth"):
        run(tiny(), tmp_path / "run", data=blind)
    with pytest.raises(DataShortage, match=r"clip c0 has no hands and face for data\.pose=dwpose"):
        run(tiny().override(["data.pose=dwpose"]), tmp_path / "run", data=little(tmp_path / "bodies"))
    with pytest.raises(DataShortage, match=r"clip c0 has no clean plate \(background\.png\); set data\.background"):
        run(tiny(), tmp_path / "run", data=little(tmp_path / "bare", plate=False))
    assert not (tmp_path / "run").exists()


def test_a_recipe_without_depth_trains_on_clips_without_it(tmp_path):
    recipe = pretraining(steps=2)
    assert (run(recipe, tmp_path / "run", data=little(tmp_path / "blind", depth=None)) / "model_index.json").is_file()


def test_depth_of_two_polarities_is_refused_by_name(tmp_path):
    near, far = little(tmp_path / "near", depth="inverse"), little(tmp_path / "far")
    with pytest.raises(
        DataShortage, match=r"depth is mixed: polarity inverse .*near, clip c0, polarity distance .*far"
    ):
        TrainingData.open([DataPart(near), DataPart(far)]).check(tiny())
    TrainingData.open([DataPart(near), DataPart(far)]).check(pretraining())


# ---- several sources


def test_a_source_is_a_path_with_a_weight(tmp_path):
    assert DataPart.parse("a/b") == DataPart(Path("a/b"), 1.0)
    assert DataPart.parse("a=b/c=0.3") == DataPart(Path("a=b/c"), 0.3)
    (tmp_path / "lr=1").mkdir()
    assert DataPart.parse(f"{tmp_path}/lr=1") == DataPart(tmp_path / "lr=1", 1.0)
    with pytest.raises(ValueError, match="'much' is no weight; write PATH=WEIGHT"):
        DataPart.parse("a=much")


@pytest.mark.parametrize("cached", [True, False])
def test_sources_are_mixed_by_their_weights(tmp_path, cached):
    recipe = tiny(cached=cached)
    parts = [DataPart(dancers()), DataPart(little(tmp_path / "more"), 0.25)]
    feed = run_data(recipe, parts, tmp_path).feed(recipe.stages[1])
    windows = [window for step in range(500) for window in feed.plan.step(step)]
    assert sum(window.source for window in windows) == 200
    batch = feed.batch([next(w for w in windows if w.source == source) for source in (0, 1, 0)])
    assert [id.startswith("c") for id in batch.ids] == [False, True, False]
    assert len(list((tmp_path / "latents").glob("*/index.json"))) == (2 if cached else 0)


def test_a_run_notes_its_sources_and_refuses_others(tmp_path):
    more = little(tmp_path / "more")
    parts = [DataPart(dancers()), DataPart(more, 0.5)]
    with pytest.raises(Stop):
        run(tiny(), tmp_path / "run", stop_at=("codec", 2), data=parts)
    noted = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert [(source["path"], source["weight"]) for source in noted] == [(str(dancers()), 1.0), (str(more), 0.5)]
    assert noted[1]["content_hash"] == Dataset.open(more).content_hash
    for others in (parts[:1], parts[::-1], [parts[0], DataPart(more, 0.4)]):
        with pytest.raises(ValueError, match="holds a run on other data"):
            run(tiny(), tmp_path / "run", data=others)
    assert run(tiny(), tmp_path / "run", data=parts).is_dir()


# ---- what cannot be read


def spoiled(tmp_path: Path, *clips: int) -> Path:
    """The dancers, with the pictures of some cut short."""
    root = tmp_path / "spoiled"
    shutil.copytree(dancers(), root)
    for number in clips:
        file = root / "clips" / Dataset.open(root).records("train")[number].id / "frames.mkv"
        file.write_bytes(file.read_bytes()[:200])
    return root


def test_a_damaged_clip_is_replaced_alike_in_every_run(tmp_path):
    recipe = tiny(cached=False, steps=2, codec_stage=None).override(["data.most_faults=2"])
    states, data = [], spoiled(tmp_path, 1)
    with pytest.raises(Stop):
        run(recipe, tmp_path / "cut", stop_at=("image", 2), data=data)
    for name in ("whole", "cut"):
        states.append(IdolPipeline.from_pretrained(run(recipe, tmp_path / name, data=data)).unet.state_dict())
        (fault,) = read_faults(tmp_path / name)
        assert fault.item == Dataset.open(data).records("train")[1].id
        assert "frames.mkv: cannot be decoded" in fault.reason
        assert fault.instead != fault.item
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_clip_that_could_not_be_cached_is_a_fault_when_it_is_drawn(tmp_path):
    recipe, data = tiny().override(["data.most_faults=1"]), spoiled(tmp_path, 1)
    feed = run_data(recipe, data, tmp_path).feed(recipe.stages[0])
    bad = Dataset.open(data).records("train")[1].id
    assert bad not in {id for step in range(6) for id in feed.batch(feed.plan.step(step)).ids}
    assert [fault.item for fault in read_faults(tmp_path)] == [bad]


def wide(root: Path, boxes: dict[str, tuple[int, int]]) -> Path:
    """Clips of 12 frames and 96 x 32 pixels by name, in each of them a person in columns ``boxes[name]``."""
    writer = DatasetWriter(root, recipe={"kind": "wide"})
    for number, (name, (left, right)) in enumerate(boxes.items()):
        mask = np.zeros((12, 32, 96), np.uint8)
        mask[:, 8:24, left:right] = 1
        writer.write_clip(
            ClipRecord(id=name, split="train", source="noise", fps=12),
            frames=np.random.default_rng(number).integers(0, 255, (12, 32, 96, 3), np.uint8),
            mask=mask,
            keypoints=Keypoints(xy=np.full((12, 1, 18, 2), 12, np.float32), score=np.ones((12, 1, 18), np.float32)),
        )
    writer.finish()
    return root


@pytest.mark.parametrize("kind", ["hap", "haop"])
def test_a_person_outside_the_square_is_a_fault_and_stops_nothing(tmp_path, kind):
    data = wide(tmp_path / "wide", {"middle": (40, 56), "left": (2, 20), "also": (44, 60)})
    recipe = pretraining().override([f"data.augment={kind}", "data.most_faults=1"])
    feed = run_data(recipe, data, tmp_path).feed(recipe.stages[0])
    seen = {id for step in range(6) for id in feed.batch(feed.plan.step(step)).ids}
    (fault,) = read_faults(tmp_path)
    assert seen == {"middle", "also"}
    assert (fault.item, fault.instead in seen) == ("left", True)
    assert fault.reason == (
        "left: the person lies outside the centred square, the only part that is used; prepare it with --crop person"
    )


@pytest.mark.parametrize("kind", ["hap", "haop"])
def test_a_person_that_resizing_loses_is_named_as_too_small(kind):
    reading = Reading.of(pretraining().override([f"data.augment={kind}"]))
    speck = np.zeros((640, 640, 4), np.uint8)
    speck[320, 320] = 255
    given = ClipInputs(
        id="far",
        frames=np.zeros((1, 32, 32, 3), np.uint8),
        depth=np.ones((1, 32, 32), np.float32),
        poses=np.zeros((1, 32, 32, 3), np.uint8),
        foreground=speck,
        background=np.full((32, 32, 4), 255, np.uint8),
    )
    with pytest.raises(DataShortage, match="far: the person is too small to be cropped; leave it out"):
        reading.augmented(given, np.random.default_rng(0))


def test_too_many_stop_the_run_with_the_list(tmp_path):
    recipe, data = tiny(cached=False, steps=2, codec_stage=None), spoiled(tmp_path, 0, 2)
    with pytest.raises(
        TooManyFaults, match=r"1 samples cannot be read, 0 are allowed \(.*frames.mkv: .*: mend the data"
    ):
        run(recipe, tmp_path / "run", data=data)
    with pytest.raises(TooManyFaults, match=r"2 samples cannot be read, 1 are allowed"):
        run(recipe.override(["data.most_faults=1"]), tmp_path / "run", data=data)
    assert len(read_faults(tmp_path / "run")) == 2
    assert run(recipe.override(["data.most_faults=2"]), tmp_path / "run", data=data).is_dir()


def test_a_shard_that_is_empty_or_gone_is_named(pictures, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(pictures, root)
    (root / "shards" / "000001.tar").write_bytes(b"")
    recipe = pretraining().override(["data.most_faults=0.4"])
    feed = run_data(recipe, root, tmp_path).feed(recipe.stages[0])
    seen = {id for step in range(SHARDS * SAMPLES // 4) for id in feed.batch(feed.plan.step(step)).ids}
    assert not seen & {f"p{number:03d}" for number in range(SAMPLES, 2 * SAMPLES)}
    faults = read_faults(tmp_path)
    assert {fault.item for fault in faults} == {f"picture {number}" for number in range(SAMPLES, 2 * SAMPLES)}
    assert all("000001.tar: has 0 bytes" in fault.reason for fault in faults)


def test_faults_of_several_processes_count_together(tmp_path):
    one, other = (FaultLog(tmp_path / FILE, 2) for _ in range(2))
    fault = Fault(source="d", item="a", sample=0, reason="d/a: gone", instead="b")
    one.add(fault)
    other.add(dataclasses.replace(fault, sample=7))
    assert len((tmp_path / FILE).read_text().splitlines()) == 1
    other.add(dataclasses.replace(fault, item="c", reason="d/c: gone"))
    with pytest.raises(
        TooManyFaults, match=r"3 samples cannot be read, 2 are allowed \(d/a: gone; d/c: gone; d/e: gone"
    ):
        one.add(dataclasses.replace(fault, item="e", reason="d/e: gone"))
    with pytest.raises(TooManyFaults):
        FaultLog(tmp_path / FILE, 2).add(fault)


def test_the_limit_is_a_share_or_a_number():
    assert [most_of(limit, 700) for limit in (0, 0.01, 0.5, 1, 20)] == [0, 7, 350, 1, 20]
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"data\.most_faults: .* is no limit"):
            most_of(wrong, 10)
