"""DisCo's TSV sets: out and in again with the same frames, and the quirks of published and self-made ones."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from numbered import picture

from idol_prep._tsv import rows_of, write_table
from idol_prep.schema import ClipRecord, DataError, Dataset, DatasetWriter, DepthTrack
from idol_prep.sources import synthetic
from idol_prep.sources.disco_tsv import DiscoTsvSource, clip_and_number, split_of
from idol_prep.stills import encode_picture
from idol_prep.tsv_export import export_tsv

DISCO_KEYS = (
    r"^(.*TiktokDance_\d+_)(\d+)(\.\w+)$",
    r"^(TiktokDance_\d+_\d+_1x1_)(\d+)(\.\w+)$",
    r"^(.*_TiktokDance_[a-z0-9]+_\d+_)(\d+)(\.\w+)$",
    r"^(?!.*TiktokDance)([^_]+_)(\d+)$",
)
"""The forms of keys that DisCo's loader of videos knows."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips in two splits, one named by a number and one with an underscore."""
    made = synthetic.generate(tmp_path_factory.mktemp("made") / "data", 1, 0, size=(32, 32), frames=3)
    clip = made.clip(made.records()[0].id)
    root = tmp_path_factory.mktemp("tsv") / "data"
    writer = DatasetWriter(root, recipe={"kind": "test"})
    for name, split in (("00007", "train"), ("S001_walk", "train"), ("00340", "test")):
        writer.write_clip(
            ClipRecord(id=name, split=split, source="test", fps=30.0),  # type: ignore[arg-type]
            frames=clip.frames(),
            mask=clip.mask(),
            keypoints=clip.keypoints(),
            depth=DepthTrack(values=clip.depth(), polarity="distance", scope="person"),
        )
    writer.finish()
    return root


def test_there_and_back_has_the_same_pictures_and_masks(dataset, tmp_path):
    assert export_tsv(dataset, tmp_path / "tsv") == {"train": 6, "test": 3}
    source = DiscoTsvSource.open(tmp_path / "tsv")
    assert {clip.id: clip.split for clip in source.clips()} == {"00007": "train", "S001-walk": "train", "00340": "test"}
    assert source.ships("mask")
    for clip in source.clips():
        true = Dataset.open(dataset).clip("00007")
        frames = list(clip.read())
        np.testing.assert_array_equal([frame.rgb for frame in frames], true.frames())
        np.testing.assert_array_equal([frame.shipped["mask"] > 0 for frame in frames], true.mask() > 0)
        assert clip.look().notes == {"skipped_frames": 0}
    assert len(list(source.clips()[0].read(1))) == 2


def test_the_tables_are_what_disco_reads(dataset, tmp_path):
    """As its loader does: keys by the captions, rows by the binary index, offsets from the row to the clip's ends."""
    export_tsv(dataset, tmp_path / "tsv")
    config = yaml.safe_load((tmp_path / "tsv" / "train.yaml").read_text())
    assert config["composite"] is False
    tables = {}
    for kind in ("img", "masks", "poses", "vid2line", "caption"):
        file = tmp_path / "tsv" / config[kind]
        data = file.read_bytes()
        starts = np.fromfile(file.with_suffix(".lineidx.8b"), "<i8").tolist()
        assert [int(line) for line in file.with_suffix(".lineidx").read_text().split()] == starts
        tables[kind] = [data[start:].split(b"\n", 1)[0].decode().split("\t") for start in starts]
    keys = [row[0] for row in tables["caption"]]
    assert all([row[0] for row in rows] == keys for rows in tables.values())
    assert all(any(re.match(form, key) for form in DISCO_KEYS) for key in keys)
    for at, row in enumerate(tables["vid2line"]):
        first, last = (at + offset for offset in json.loads(row[1]))
        assert (first, last) == (at // 3 * 3, at // 3 * 3 + 2)
    assert json.loads(tables["caption"][0][1]) == [{"caption": ""}]
    assert base64.b64decode(tables["poses"][0][1])[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("key", "clip", "number"),
    [
        ("TiktokDance_00337_0010.png", "00337", 10),
        ("TiktokDance_203_006_1x1_00348.jpg", "203_006", 348),
        ("train.tsv_TiktokDance_00001_0002.png", "00001", 2),
        ("x_TiktokDance_ab12_7_0003.png", "ab12_7", 3),
        ("S001C001P001R001A001_0001", "S001C001P001R001A001", 1),
        ("Custom_my dance_0001.png", "my-dance", 1),
    ],
)
def test_keys(key, clip, number):
    assert clip_and_number(key) == (clip, number)


def test_a_key_of_another_form():
    with pytest.raises(DataError, match="'frame' is none of DisCo's"):
        clip_and_number("frame")


@pytest.mark.parametrize(
    ("name", "split"), [("train_x.yaml", "train"), ("new10val_x.yaml", "test"), ("val_x.yaml", "val")]
)
def test_splits_by_name(name, split):
    assert split_of(name) == split
    with pytest.raises(DataError, match="says no split"):
        split_of("x.yaml")


def write_set(root: Path, numbers: list[int], masks: list[int] | None = None, name: str = "train") -> Path:
    """A set as DisCo's converter leaves it: no index, JPEG-free, a YAML that says ``_img``."""
    root.mkdir(parents=True, exist_ok=True)
    masks = numbers if masks is None else masks

    def row(number: int) -> list[str]:
        return [f"TiktokDance_00001_{number:04d}.png", base64.b64encode(encode_picture(picture(number))).decode()]

    write_table(root / f"{name}_images.tsv", map(row, numbers))
    write_table(root / f"{name}_masks.tsv", ([*row(n), str(n != 5)] for n in masks))
    for index in root.glob("*.lineidx*"):
        index.unlink()
    (root / f"{name}.yaml").write_text(f"composite: false\nimg: {name}_img.tsv\nmasks: {name}_masks.tsv\n")
    return root


def test_a_mask_that_is_marked_as_none_is_a_gap(tmp_path):
    (clip,) = DiscoTsvSource.open(write_set(tmp_path, [4, 5, 6, 9])).clips()
    assert [frame.number for frame in clip.frames] == [4, 6, 9]
    assert clip.look().notes == {"skipped_frames": 3}


def test_rows_may_lie_in_any_order(tmp_path):
    (clip,) = DiscoTsvSource.open(write_set(tmp_path, [9, 4, 6])).clips()
    for frame, number in zip(clip.read(), (4, 6, 9), strict=True):
        np.testing.assert_array_equal(frame.rgb, picture(number))


def test_tables_that_do_not_go_together(tmp_path):
    with pytest.raises(DataError, match=r"has TiktokDance_00001_0007\.png where train_images\.tsv has"):
        DiscoTsvSource.open(write_set(tmp_path / "a", [4, 6], [4, 7]))
    with pytest.raises(DataError, match="has 2 pictures and 1 masks"):
        DiscoTsvSource.open(write_set(tmp_path / "b", [4, 6], [4]))
    with pytest.raises(DataError, match="has frame 4 of 00001 twice"):
        DiscoTsvSource.open(write_set(tmp_path / "c", [4, 4]))


def test_a_composite_set_takes_the_rows_of_its_line_list(tmp_path):
    write_set(tmp_path, [1, 2], name="a")
    write_set(tmp_path, [3, 4], name="b")
    for old in tmp_path.glob("*.yaml"):
        old.unlink()
    (tmp_path / "lines.tsv").write_text("1\t0\t0\n0\t1\t0\n")
    config = {"composite": True, "caption_linelist": "lines.tsv"}
    config |= {"img": ["a_images.tsv", "b_images.tsv"], "masks": ["a_masks.tsv", "b_masks.tsv"]}
    (tmp_path / "train_x.yaml").write_text(yaml.safe_dump(config))
    (clip,) = DiscoTsvSource.open(tmp_path / "train_x.yaml").clips()
    assert [frame.number for frame in clip.frames] == [2, 3]
    (tmp_path / "lines.tsv").write_text("2\t0\t0\n")
    with pytest.raises(DataError, match="is no line list"):
        DiscoTsvSource.open(tmp_path)


def test_an_index_of_another_table(tmp_path):
    root = write_set(tmp_path, [1, 2])
    (root / "train_images.lineidx").write_text("0\n17\n")
    with pytest.raises(DataError, match="no row begins at byte 0"):
        DiscoTsvSource.open(root)
    (root / "train_images.lineidx").write_text("5\n3\n")
    with pytest.raises(DataError, match="is another table's"):
        DiscoTsvSource.open(root)


def test_a_damaged_picture_is_named(tmp_path):
    root = write_set(tmp_path, [1, 2])
    table = root / "train_images.tsv"
    first, second = table.read_bytes().splitlines(keepends=True)
    table.write_bytes(first + second[:40] + b"!!!!" + second[44:])
    (clip,) = DiscoTsvSource.open(root).clips()
    with pytest.raises(DataError, match=r"row TiktokDance_00001_0002\.png holds no picture"):
        list(clip.read())
    row = rows_of(table)[0]
    with pytest.raises(DataError, match="is not where it was listed"):
        replace(row, key="other").columns()


def test_what_is_no_set(tmp_path):
    with pytest.raises(DataError, match="holds no YAML file"):
        DiscoTsvSource.open(tmp_path)
    (tmp_path / "train.yaml").write_text("img: [")
    with pytest.raises(DataError, match="cannot be read as YAML"):
        DiscoTsvSource.open(tmp_path)
    (tmp_path / "train.yaml").write_text("masks: x.tsv")
    with pytest.raises(DataError, match="names no table of pictures"):
        DiscoTsvSource.open(tmp_path)
    (tmp_path / "train.yaml").write_text("img: x.tsv")
    with pytest.raises(DataError, match="no such table"):
        DiscoTsvSource.open(tmp_path)


def test_an_output_that_is_not_empty(dataset, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="is not empty"):
        export_tsv(dataset, tmp_path)
