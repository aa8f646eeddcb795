"""Still pictures from published layouts into shards: who comes in, who is left out and why, however the work is cut."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from raw_material import without_mediapipe
from still_material import (
    SIDE,
    encoded,
    padded,
    person,
    runs_of,
    save,
    write_coco,
    write_deepfashion2,
    write_laion,
    write_shhq,
)

from idol_prep.schema import DataError, StillSet
from idol_prep.sources._coco_masks import draw, unpacked_runs
from idol_prep.sources.coco import CocoSource
from idol_prep.sources.deepfashion2 import DeepFashion2Source
from idol_prep.sources.laion import LaionSource, without_bars
from idol_prep.sources.pictures import grouped
from idol_prep.sources.shhq import SHHQSource
from idol_prep.still_options import StillLimits, StillOptions, why_reject
from idol_prep.still_pipeline import prepare_stills

needs_mediapipe = pytest.mark.skipif(without_mediapipe(), reason="needs the extra prep")
OWN = StillOptions(mask="dataset", device="cpu", limits=StillLimits(min_area=0.01, min_person=64))
SEEN = replace(OWN, mask="mediapipe")


def rejects(out: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    return {line["id"]: line["reason"] for line in lines}


def keys(stills: StillSet) -> list[str]:
    return [stills.sample(number).key for number in range(len(stills))]


# COCO


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("coco"))


def test_coco_takes_single_people_with_their_masks(coco, tmp_path):
    summary = prepare_stills(CocoSource.open(coco, part="val2017"), tmp_path / "out", OWN)
    assert (summary.frames, summary.clips) == (7, 2)
    stills = StillSet.open(tmp_path / "out")
    assert keys(stills) == ["val2017-000000000001", "val2017-000000000002"]
    first = stills.sample(0)
    np.testing.assert_array_equal(first.mask, person(1)[1])
    rows, columns = np.nonzero(person(1)[1])
    assert first.record.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert first.record.scores["people"] == 1
    assert stills.sample(1).mask.sum() == pytest.approx(120 * 200 * 255, rel=0.02)
    assert stills.info["source"]["part"] == "val2017"


def test_coco_says_why_others_are_left_out(coco, tmp_path):
    prepare_stills(CocoSource.open(coco, part="val2017"), tmp_path / "out", OWN)
    why = {key[-1]: reason.partition(":")[0] for key, reason in rejects(tmp_path / "out").items()}
    assert why == {"3": "no person", "4": "no person", "5": "people", "6": "people", "7": "unreadable"}


def test_pictures_go_in_as_their_files_are(coco, tmp_path):
    prepare_stills(CocoSource.open(coco, part="val2017"), tmp_path / "out", OWN)
    shard = (tmp_path / "out" / "shards" / "000000.tar").read_bytes()
    assert (coco / "val2017" / "000000000001.jpg").read_bytes() in shard


def test_packed_runs_unpack():
    """Against an encoder written from the description of the letters."""

    def packed(runs: list[int]) -> str:
        letters = ""
        for at, run in enumerate(runs):
            value, more = run - (runs[at - 2] if at > 2 else 0), True
            while more:
                bits = value & 31
                value >>= 5
                more = value != (-1 if bits & 16 else 0)
                letters += chr(48 + (bits | 32 if more else bits))
        return letters

    mask = person(5)[1]
    runs = runs_of(mask)
    assert unpacked_runs(packed(runs)) == runs
    np.testing.assert_array_equal(draw({"size": [SIDE, SIDE], "counts": packed(runs)}, SIDE, SIDE), mask)


@pytest.mark.parametrize(
    "segmentation", [[], [[1.0, 2.0]], {"size": [9, 9], "counts": [81]}, {"size": [8, 8], "counts": [3]}]
)
def test_segmentations_that_cannot_be(segmentation):
    with pytest.raises(DataError, match="the segmentation"):
        draw(segmentation, 8, 8)


def test_coco_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="holds no train2017/"):
        CocoSource.open(tmp_path)
    (tmp_path / "train2017").mkdir()
    with pytest.raises(DataError, match="holds neither person_keypoints_train2017"):
        CocoSource.open(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train2017.json").write_text("[]")
    with pytest.raises(DataError, match="is no file of COCO annotations"):
        CocoSource.open(tmp_path)


# SHHQ


def test_shhq_comes_with_its_masks(tmp_path):
    summary = prepare_stills(SHHQSource.open(write_shhq(tmp_path / "raw")), tmp_path / "out", OWN)
    assert (summary.clips, summary.rejected) == (4, {})
    np.testing.assert_array_equal(StillSet.open(tmp_path / "out").sample(2).mask, person(2)[1])
    np.testing.assert_array_equal(StillSet.open(tmp_path / "out").sample(2).picture, person(2)[0])


def test_shhq_masks_that_do_not_fit(tmp_path):
    raw = write_shhq(tmp_path / "raw", 5)
    (raw / "segments" / "000001.png").unlink()
    save(raw / "segments" / "000002.png", person(2)[1][:-8])
    save(raw / "segments" / "000003.png", person(3)[0])
    save(raw / "segments" / "000004.png", np.zeros((SIDE, SIDE), np.uint8))
    prepare_stills(SHHQSource.open(raw), tmp_path / "out", OWN)
    why = rejects(tmp_path / "out")
    assert "has no mask of its name" in why["000001"]
    assert "is 256x248, its picture is 256x256" in why["000002"]
    assert "is no mask" in why["000003"]
    assert why["000004"].startswith("no person")


# DeepFashion2


@needs_mediapipe
def test_deepfashion2_takes_what_is_worn(tmp_path):
    source = DeepFashion2Source.open(write_deepfashion2(tmp_path / "raw"))
    summary = prepare_stills(source, tmp_path / "out", SEEN)
    stills = StillSet.open(tmp_path / "out")
    assert (summary.clips, keys(stills)) == (1, ["train-000001"])
    found, true = stills.sample(0).mask > 0, person(1)[1] > 0
    assert (found & true).sum() / (found | true).sum() > 0.5
    assert stills.info["annotators"]["mask"]["name"] == "mediapipe"
    why = rejects(tmp_path / "out")
    assert why["train-000002"].startswith("not worn: its 2 garments")
    assert "is no annotation of DeepFashion2" in why["train-000003"]


def test_masks_that_a_source_does_not_ship(tmp_path):
    source = DeepFashion2Source.open(write_deepfashion2(tmp_path / "raw"))
    with pytest.raises(DataError, match="deepfashion2 ships no masks"):
        prepare_stills(source, tmp_path / "out", OWN)
    with pytest.raises(DataError, match="unknown part 'test'"):
        DeepFashion2Source.open(tmp_path / "raw", part="test")


# LAION


@needs_mediapipe
def test_laion_loses_bars_failures_and_walls(tmp_path):
    source = LaionSource.open(write_laion(tmp_path / "raw"))
    summary = prepare_stills(
        source, tmp_path / "out", replace(SEEN, limits=StillLimits(min_side=96, min_area=0.01, min_person=64))
    )
    stills = StillSet.open(tmp_path / "out")
    assert keys(stills) == ["000000000", "000000001"]
    assert stills.sample(1).picture.shape[:2] == pytest.approx((256, 128), abs=2)
    assert stills.sample(1).record.scores["bars"] == pytest.approx(0.5, abs=0.02)
    why = rejects(tmp_path / "out")
    assert "has the status 'failed_to_resize'" in why["000010000"]
    assert why["000010002"].startswith("no person")
    assert summary.frames == 4
    assert stills.info["source"]["download"] == {
        "count": 6,
        "successes": 4,
        "failed_to_download": 2,
        "failed_to_resize": 0,
    }


def test_laion_as_folders_is_the_same(tmp_path):
    raw = write_laion(tmp_path / "raw")
    for tar in sorted(raw.glob("*.tar")):
        shutil.unpack_archive(tar, raw / tar.stem)
    tars, folders = LaionSource.open(raw), None
    for tar in sorted(raw.glob("*.tar")):
        tar.unlink()
    folders = LaionSource.open(raw)
    write_laion(raw)
    both = [[one.picture.data for group in source.groups() for one in group.pictures()] for source in (tars, folders)]
    assert both[0] == both[1]
    assert len(both[0]) == 4


@needs_mediapipe
def test_a_download_that_breaks_off_keeps_what_came_before(tmp_path):
    raw = write_laion(tmp_path / "raw")
    tar = raw / "00000.tar"
    tar.write_bytes(tar.read_bytes()[:-12_000])
    prepare_stills(LaionSource.open(raw), tmp_path / "out", replace(SEEN, limits=StillLimits(min_area=0.01)))
    assert "breaks off or is no tar file" in rejects(tmp_path / "out")["00000-rest"]
    assert keys(StillSet.open(tmp_path / "out")) == ["000000000"]


@pytest.mark.parametrize("quality", ["PNG", "JPEG"])
def test_bars_are_found_through_compression(quality):
    from idol_prep.pictures import Encoded, read_rgb

    picture = person(4)[0][40:216]
    read = read_rgb(Encoded("x", encoded(padded(picture, 40), quality)))
    top, bottom, left, right = without_bars(read)
    assert (left, right) == (0, 256)
    assert (top, bottom) == pytest.approx((40, 216), abs=1)


def test_what_is_no_bar_stays():
    picture = person(4)[0]
    assert without_bars(picture) == (0, 256, 0, 256)
    lopsided = np.concatenate([np.full((40, 256, 3), 255, np.uint8), picture[:216]])
    assert without_bars(lopsided) == (0, 256, 0, 256)


# filters


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        ({"side": 200.0}, "too small"),
        ({"aspect": 3.5}, "odd shape"),
        ({"people": 2.0}, "people"),
        ({"area": 0.01}, "person's size"),
        ({"area": 0.95}, "person's size"),
        ({"person": 100.0}, "person's size"),
        ({"tall": 0.2}, "person's shape"),
        ({"tall": 9.0}, "person's shape"),
        ({"side": 256.0, "aspect": 1.0, "people": 1.0, "area": 0.2, "person": 200.0, "tall": 2.0, "cut": 4.0}, None),
    ],
)
def test_limits(scores, kind):
    reason = why_reject(scores, StillLimits())
    assert (reason.partition(":")[0] if reason else None) == kind


@needs_mediapipe
def test_poses_count_people_where_the_source_does_not(tmp_path):
    source = DeepFashion2Source.open(write_deepfashion2(tmp_path / "raw"))
    prepare_stills(source, tmp_path / "out", replace(SEEN, pose="mediapipe"))
    assert StillSet.open(tmp_path / "out").sample(0).record.scores["people"] == 1


def test_groups_of_nothing():
    with pytest.raises(DataError, match="shards of 0 pictures"):
        grouped([], 0)
