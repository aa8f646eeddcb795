"""NTU RGB+D 120: videos out of archives, skeletons, and the choice of samples."""

import random
import zipfile
from pathlib import Path

import av
import numbered
import numpy as np
import pytest
import tiny_densepose

from idol_prep.pipeline import PrepOptions, job_of, prepare
from idol_prep.schema import DataError, Dataset
from idol_prep.sources._ntu_names import Sample, Selection
from idol_prep.sources.ntu120 import NTU120Source, read_skeleton


def write_avi(path: Path, frames: int = 12, size: tuple[int, int] = (270, 480)) -> bytes:
    """Numbered frames as XviD, the board off the middle of a wide picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"qscale": "2"}
        for number in range(frames):
            wide = np.full((*size, 3), 40, np.uint8)
            wide[100:196, 300:428] = numbered.picture(number)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(wide, "rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def skeleton_text(frames: int = 12) -> str:
    """One person whose joints lie on the board's edges (336 to 392 across, 120 to 184 down)."""
    lines = [str(frames)]
    for _ in range(frames):
        lines += ["1", "72057594037931101 0 1 1 1 1 0 0.02 -0.4 2", "25"]
        for joint in range(25):
            x, y = 336 + 56 * joint / 24, 120 + 64 * joint / 24
            lines.append(f"0.2 0.1 3.7 277.4 191.8 {x} {y} -0.2 0.04 0.9 0.02 2")
    return "\n".join(lines)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two archives of one setup each, one with a skeleton archive, and a sample that nobody named."""
    folder = tmp_path / "raw"
    folder.mkdir()
    data = write_avi(tmp_path / "a.avi")
    for setup in (1, 2):
        with zipfile.ZipFile(folder / f"nturgbd_rgb_s{setup:03}.zip", "w") as archive:
            archive.writestr(f"nturgb+d_rgb/S{setup:03}C001P00{setup}R001A001_rgb.avi", data)
            archive.writestr("nturgb+d_rgb/readme.txt", "x")
    with zipfile.ZipFile(folder / "nturgbd_skeletons_s001_to_s017.zip", "w") as archive:
        archive.writestr("nturgb+d_skeletons/S001C001P001R001A001.skeleton", skeleton_text())
    return folder


def test_clips_come_straight_from_the_archives_and_are_aligned(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(numbered.annotators, "ENTRIES", dict(numbered.annotators.ENTRIES))
    numbered.register()
    before = sorted(raw.rglob("*"))
    options = PrepOptions(size=96, pose="numbered", mask="numbered", depth="numbered")
    prepare(NTU120Source.open(raw, select="all"), tmp_path / "out", options)
    dataset = Dataset.open(tmp_path / "out")
    assert [record.id for record in dataset.records()] == ["S001C001P001R001A001", "S002C001P002R001A001"]
    for record in dataset.records():
        found = numbered.numbers_of(dataset.clip(record.id))
        assert all(numbers == list(range(12)) for numbers in found.values()), found
    assert [record.scores["skeleton"] for record in dataset.records()] == [1, 0]
    assert dataset.records()[0].source.startswith("nturgbd_rgb_s001.zip/nturgb+d_rgb/S001C001P001R001A001_rgb.avi (")
    assert sorted(raw.rglob("*")) == before


def test_half_of_table_1_with_hdnet(raw, tmp_path, monkeypatch):
    """NTU ships no body surfaces, so HDNet's come from the annotator, and the dataset says so."""
    monkeypatch.setattr(numbered.annotators, "ENTRIES", dict(numbered.annotators.ENTRIES))
    numbered.register()
    (tmp_path / "hdnet.safetensors").touch()
    weights = {"hdnet": tmp_path / "hdnet.safetensors", "densepose": tiny_densepose.write(tmp_path / "dp.torchscript")}
    options = PrepOptions(pose="numbered", mask="numbered", depth="hdnet", weights=weights)
    job = job_of(NTU120Source.open(raw, select="all"), tmp_path / "out", options)
    assert (job.options.densepose, job.recipe["densepose"][:10]) == ("densepose", "densepose ")
    assert set(job.info["annotators"]["densepose"]["weights"]) == {"dp.torchscript"}


def test_a_skeleton_says_where_to_cut(raw):
    with_skeleton, without = NTU120Source.open(raw, select="all").clips()
    assert (without.look().height, without.look().width) == (270, 480)
    look = with_skeleton.look()
    assert look.height == look.width == pytest.approx(64 * 1.3, abs=2)
    frame = next(with_skeleton.read()).rgb
    board = frame[numbered.board_of(frame.mean(axis=-1) > 75)]
    assert board.shape[:2] == pytest.approx((64, 56), abs=2)
    assert with_skeleton.stamp.endswith("with skeleton")


def samples() -> list[Sample]:
    """As many people and places as the archives have, thinned."""
    return [
        Sample(setup, camera, person, replication, action)
        for setup in range(1, 18)
        for person in range(setup, setup + 8)
        for camera in (1, 2, 3)
        for replication in (1, 2)
        for action in range(1, 61, 4)
    ]


def test_the_rule_keeps_people_and_places_apart_and_does_not_depend_on_order():
    chosen = Selection().choose(samples())
    parts = {split: {s for s, name in chosen.items() if name == split} for split in ("train", "test")}
    assert {split: len(found) for split, found in parts.items()} == {"train": 588, "test": 72}
    assert not {s.person for s in parts["train"]} & {s.person for s in parts["test"]}
    assert not {s.setup for s in parts["train"]} & {s.setup for s in parts["test"]}
    assert max(s.action for s in chosen) <= 49
    mixed = samples()
    random.Random(1).shuffle(mixed)
    assert Selection().choose(mixed) == chosen
    assert Selection(seed=1).choose(mixed) != chosen


def test_too_few_samples_for_the_rule(raw):
    with pytest.raises(DataError, match="only 1 of 588 samples can be chosen for train"):
        NTU120Source.open(raw)


def test_a_split_file_chooses(raw, tmp_path):
    (tmp_path / "split.txt").write_text("S002C001P002R001A001 test\n")
    source = NTU120Source.open(raw, select=str(tmp_path / "split.txt"))
    assert [(clip.id, clip.split) for clip in source.clips()] == [("S002C001P002R001A001", "test")]
    assert len(source.describe()["list_sha256"]) == 64
    (tmp_path / "split.txt").write_text("S009C001P002R001A001 test\n")
    with pytest.raises(DataError, match="lists S009C001P002R001A001 and 0 more that are not there"):
        NTU120Source.open(raw, select=str(tmp_path / "split.txt"))


def test_archives_that_cannot_be_trusted(raw, tmp_path):
    with zipfile.ZipFile(raw / "evil.zip", "w") as archive:
        archive.writestr("../../S003C001P001R001A001_rgb.avi", b"x")
    with pytest.raises(DataError, match="leads out of the archive"):
        NTU120Source.open(raw, select="all")
    (raw / "evil.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"evil\.zip: is no readable zip archive"):
        NTU120Source.open(raw, select="all")


def test_nothing_there_and_damaged_skeletons(raw, tmp_path):
    with pytest.raises(DataError, match="holds no NTU video"):
        NTU120Source.open(tmp_path / "raw" / "nturgbd_skeletons_s001_to_s017.zip", select="all")
    with pytest.raises(DataError, match="no such folder"):
        NTU120Source.open(tmp_path / "absent")
    broken = tmp_path / "S001C001P001R001A001.skeleton"
    broken.write_text(skeleton_text()[:300])
    from idol_prep.sources._archives import Member

    with pytest.raises(DataError, match="is no whole skeleton file"):
        read_skeleton(Member(None, str(broken), 300))
