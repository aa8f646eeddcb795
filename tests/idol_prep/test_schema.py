"""The dataset format: bit-exact round trips, windows, resume, and nothing half-written."""

import dataclasses
import json
import resource
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from idol_prep.pose import Keypoints
from idol_prep.schema import (
    Clip,
    ClipRecord,
    DataError,
    Dataset,
    DatasetWriter,
    DepthRange,
    DepthTrack,
    NoClipsError,
    Reject,
)

FRAMES, HEIGHT, WIDTH = 11, 37, 50
RECIPE = {"kind": "test", "seed": 1}


def tracks(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    mask = (rng.random((FRAMES, HEIGHT, WIDTH)) > 0.4).astype(np.uint8)
    depth = np.where(mask > 0, rng.normal(3, 0.5, mask.shape), np.nan)
    return {
        "frames": rng.integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8),
        "mask": mask,
        "keypoints": Keypoints(
            xy=rng.random((FRAMES, 2, 18, 2), dtype=np.float32),
            score=rng.random((FRAMES, 2, 18), dtype=np.float32),
        ),
        "depth": DepthTrack(values=depth, polarity="distance", scope="person"),
        "background": rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
    }


def record(clip_id: str = "a", **fields) -> ClipRecord:
    return ClipRecord(**({"id": clip_id, "split": "train", "source": "here", "fps": 12.0} | fields))


@pytest.fixture
def writer(tmp_path: Path) -> DatasetWriter:
    return DatasetWriter(tmp_path / "data", recipe=RECIPE, info={"note": "x"})


def leftovers(writer: DatasetWriter) -> list[str]:
    return sorted(path.name for path in (writer.root / "clips").iterdir())


def test_round_trip_is_exact(writer: DatasetWriter):
    made = tracks()
    written = writer.write_clip(record(scores={"sharp": 0.5}, approximate=("mask",)), **made)
    dataset = writer.finish()
    clip = dataset.clip("a")
    assert clip.record == written == dataset.records("train")[0]
    assert (written.frames, written.height, written.width) == (FRAMES, HEIGHT, WIDTH)
    np.testing.assert_array_equal(clip.frames(), made["frames"])
    np.testing.assert_array_equal(clip.mask(), made["mask"])
    np.testing.assert_array_equal(clip.keypoints().xy, made["keypoints"].xy)
    np.testing.assert_array_equal(clip.keypoints().score, made["keypoints"].score)
    np.testing.assert_array_equal(clip.background(), made["background"])
    clip.verify()


def test_depth_is_within_half_a_step_and_keeps_its_holes(writer: DatasetWriter):
    made = tracks()
    writer.write_clip(record(), **made)
    values, read = made["depth"].values, writer.finish().clip("a").depth()
    np.testing.assert_array_equal(np.isnan(read), np.isnan(values))
    step = (np.nanmax(values) - np.nanmin(values)) / 65534
    assert np.nanmax(np.abs(read - values)) <= step / 2 + 1e-6


@pytest.mark.parametrize(("start", "stop"), [(0, 8), (3, 11), (5, 6), (10, None)])
def test_windows_equal_slices(writer: DatasetWriter, start: int, stop: int | None):
    made = tracks()
    writer.write_clip(record(), **made)
    clip = Clip.open(writer.root / "clips" / "a")
    np.testing.assert_array_equal(clip.frames(start, stop), made["frames"][start:stop])
    np.testing.assert_array_equal(clip.mask(start, stop), made["mask"][start:stop])
    np.testing.assert_array_equal(clip.depth(start, stop), clip.depth()[start:stop])
    np.testing.assert_array_equal(clip.keypoints(start, stop).xy, made["keypoints"].xy[start:stop])


@pytest.mark.parametrize(("start", "stop"), [(0, 12), (-1, 3), (4, 4), (11, None)])
def test_windows_outside_are_refused(writer: DatasetWriter, start: int, stop: int | None):
    writer.write_clip(record(), **tracks())
    with pytest.raises(DataError, match="not within 0:11"):
        Clip.open(writer.root / "clips" / "a").frames(start, stop)


def test_streams_of_frames_are_taken(writer: DatasetWriter):
    made = tracks()
    streamed = made | {"frames": iter(made["frames"]), "mask": iter(made["mask"])}
    whole = writer.write_clip(record("whole"), **made)
    assert writer.write_clip(record("streamed"), **streamed).sha256 == whole.sha256


def test_depth_bounds(writer: DatasetWriter):
    made = tracks()
    values = made["depth"].values
    exact = writer.write_clip(record("exact"), **made).depth
    cut = dataclasses.replace(made["depth"], percentiles=(0.5, 99.5))
    robust = writer.write_clip(record("robust"), **(made | {"depth": cut})).depth
    given = dataclasses.replace(made["depth"], bounds=(1.0, 4.0), polarity="inverse")
    told = writer.write_clip(record("told"), **(made | {"depth": given})).depth
    assert exact is not None
    assert robust is not None
    assert exact.low == pytest.approx(np.nanmin(values))
    assert exact.high == pytest.approx(np.nanmax(values))
    assert exact.low < robust.low < robust.high < exact.high
    assert told == DepthRange(low=1.0, high=4.0, polarity="inverse", scope="person")


def test_normalise():
    depth = np.array([[[1.0, 2.0, 3.0, 9.0, np.nan]]], np.float32)
    mask = np.array([[[1, 1, 1, 0, 1]]], np.uint8)
    person = DepthRange(low=1, high=3, polarity="distance", scope="person")
    np.testing.assert_allclose(person.normalise(depth, mask), [[[0, 0.375, 0.75, 1, 1]]])
    frame = DepthRange(low=1, high=3, polarity="inverse", scope="frame")
    np.testing.assert_allclose(frame.normalise(depth, None, background=0), [[[0, 0.5, 1, 1, 0]]])
    flat = DepthRange(low=2, high=2, polarity="distance", scope="frame")
    assert np.isfinite(flat.normalise(depth, None)).all()
    with pytest.raises(DataError, match="needs the person's mask"):
        person.normalise(depth, None)


def test_what_is_there_is_kept(writer: DatasetWriter):
    first = writer.write_clip(record(), **tracks(0))
    again = DatasetWriter(writer.root, recipe=RECIPE)
    assert again.has("a")
    assert not again.has("b")
    assert again.write_clip(record(), **tracks(1)) == first


def test_another_recipe_is_refused(writer: DatasetWriter):
    with pytest.raises(DataError, match="seed=1, not 2"):
        DatasetWriter(writer.root, recipe=RECIPE | {"seed": 2})


def test_a_folder_of_other_things_is_refused(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty"):
        DatasetWriter(tmp_path, recipe=RECIPE)


def test_a_break_in_the_middle_leaves_nothing(writer: DatasetWriter):
    made = tracks()

    def breaking():
        yield made["frames"][0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.write_clip(record(), **(made | {"frames": breaking()}))
    assert leftovers(writer) == []
    assert not writer.has("a")


def test_leftovers_of_a_killed_writer_are_cleared(writer: DatasetWriter):
    import socket

    dead = writer.root / "clips" / f".writing-a.{socket.gethostname()}-999999999"
    other = writer.root / "clips" / ".writing-a.another-machine-1"
    dead.mkdir()
    other.mkdir()
    DatasetWriter(writer.root, recipe=RECIPE)
    assert leftovers(writer) == [other.name]


def test_a_full_disk_is_named_and_leaves_nothing(writer: DatasetWriter):
    writer.write_clip(record("done"), **tracks())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DataError, match="no space left while writing clip a"):
            writer.write_clip(record(), **tracks())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert leftovers(writer) == ["done"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((FRAMES - 1, HEIGHT, WIDTH), np.uint8)}, "11 frames but 10 of the mask"),
        ({"mask": np.zeros((FRAMES, HEIGHT, WIDTH + 2), np.uint8)}, "mask has shape"),
        ({"background": np.zeros((2, 2, 3), np.uint8)}, "background has shape"),
        ({"frames": np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.float32)}, "float32"),
        ({"frames": []}, "no frames"),
    ],
)
def test_tracks_that_do_not_fit_are_refused(writer: DatasetWriter, change: dict, message: str):
    with pytest.raises(DataError, match=message):
        writer.write_clip(record(), **(tracks() | change))
    assert leftovers(writer) == []


def test_depth_without_any_value_is_refused(writer: DatasetWriter):
    empty = DepthTrack(values=np.full((FRAMES, HEIGHT, WIDTH), np.nan), polarity="distance", scope="person")
    with pytest.raises(DataError, match="no valid depth inside the mask"):
        writer.write_clip(record(), **(tracks() | {"depth": empty}))


def test_a_clip_may_lack_depth_and_background(writer: DatasetWriter):
    writer.write_clip(record(), **(tracks() | {"depth": None, "background": None}))
    clip = writer.finish().clip("a")
    assert clip.record.depth is None
    assert clip.background() is None
    with pytest.raises(DataError, match="has no depth track"):
        clip.depth()


def reject(clip_id: str, stage: str = "quality", reason: str = "no person: nobody") -> Reject:
    return Reject(id=clip_id, source=f"{clip_id}.mp4", stage=stage, reason=reason)


def listed(writer: DatasetWriter) -> list[str]:
    return [json.loads(line)["id"] for line in (writer.root / "rejects.jsonl").read_text().splitlines()]


def test_rejects_are_listed_with_their_reason(writer: DatasetWriter):
    writer.reject(reject("c"))
    writer.reject(reject("b"))
    writer.reject(reject("b", "decode", "truncated: breaks off"))
    assert writer.rejects() == {"b": reject("b", "decode", "truncated: breaks off"), "c": reject("c")}
    assert [one.failed for one in writer.rejects().values()] == [True, False]
    writer.write_clip(record(), **tracks())
    assert writer.finish().info["counts"] == {"clips": 1, "frames": 11, "rejects": 2, "splits": {"train": 1}}
    assert listed(writer) == ["b", "c"]
    assert DatasetWriter(writer.root, recipe=RECIPE).rejects() == writer.rejects()


def test_a_reject_that_was_made_since_is_struck_off(writer: DatasetWriter):
    for name in "ab":
        writer.reject(reject(name))
    with pytest.raises(NoClipsError):
        writer.finish()
    assert listed(writer) == ["a", "b"]
    writer.write_clip(record(), **tracks())
    writer.finish()
    assert listed(writer) == ["b"]


def test_the_lost_rest_of_a_clip_is_in_the_list(writer: DatasetWriter):
    writer.write_clip(record(lost="truncated: 11 good frames are kept"), **tracks())
    writer.finish()
    assert listed(writer) == ["a-rest"]


def test_a_damaged_list_of_rejects_is_named(writer: DatasetWriter):
    (writer.root / "rejects.jsonl").write_text('{"id": "a"')
    with pytest.raises(DataError, match=r"rejects\.jsonl: is damaged"):
        writer.rejects()


def test_the_manifest_can_be_queried(writer: DatasetWriter):
    writer.write_clip(record("b", split="val", scores={"sharp": 0.5}), **tracks())
    writer.write_clip(record("a", scores={"sharp": 0.25}), **tracks(1))
    dataset = writer.finish()
    table = pq.read_table(writer.root / "manifest.parquet", columns=["id", "split", "depth_polarity"]).to_pydict()
    assert table == {"id": ["a", "b"], "split": ["train", "val"], "depth_polarity": ["distance", "distance"]}
    assert [r.id for r in dataset.records()] == ["a", "b"]
    assert [r.id for r in dataset.records("val")] == ["b"]
    assert not dataset.records("test")
    assert dataset.records(score_sharp=(0.4, None)).ids() == ["b"]
    assert dataset.records(frames=(None, 10)).ids() == []
    with pytest.raises(DataError, match="has no column 'score_blur'"):
        dataset.records(score_blur=(0, 1))


def test_content_hash_tells_contents_not_places(tmp_path: Path):
    hashes = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        writer = DatasetWriter(tmp_path / name, recipe=RECIPE)
        writer.write_clip(record(), **tracks(seed))
        hashes.append(writer.finish().content_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_no_dataset_unfinished_and_unknown(tmp_path: Path, writer: DatasetWriter):
    with pytest.raises(DataError, match="is not a prepared dataset"):
        Dataset.open(tmp_path)
    with pytest.raises(DataError, match="is not finished"):
        Dataset.open(writer.root)
    with pytest.raises(DataError, match="no clip was written"):
        writer.finish()
    writer.write_clip(record(), **tracks())
    dataset = writer.finish()
    for unknown in ("b", "../clips/a"):
        with pytest.raises(DataError, match="has no clip"):
            dataset.clip(unknown)
    with pytest.raises(DataError, match="split 'dev' is unknown"):
        dataset.records("dev")  # type: ignore[arg-type]


def test_another_version_is_refused(writer: DatasetWriter):
    writer.write_clip(record(), **tracks())
    writer.finish()
    file = writer.root / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 99}))
    with pytest.raises(DataError, match="format version 99"):
        Dataset.open(writer.root)


@pytest.mark.parametrize("name", ["frames.mkv", "depth.mkv", "keypoints.npz", "background.png"])
def test_damage_is_named(writer: DatasetWriter, name: str):
    writer.write_clip(record(), **tracks())
    clip = writer.finish().clip("a")
    (clip.path / name).write_bytes((clip.path / name).read_bytes()[:100])
    readers = {"frames.mkv": clip.frames, "depth.mkv": clip.depth, "keypoints.npz": clip.keypoints}
    with pytest.raises(DataError, match=name):
        readers.get(name, clip.background)()
    with pytest.raises(DataError, match=name):
        clip.verify()


@pytest.mark.parametrize(
    "fields", [{"id": "../up"}, {"id": ""}, {"id": ".hidden"}, {"split": "dev"}, {"fps": 0}, {"fps": float("nan")}]
)
def test_bad_records_are_refused(fields: dict):
    with pytest.raises(DataError):
        record(**fields)
