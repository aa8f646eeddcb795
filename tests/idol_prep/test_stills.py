"""Still pictures in shards: the same out as in, any sample by one seek, whole or not at all."""

import io
import json
import pickle
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idol_prep._rejects import Reject
from idol_prep._still_shard import EncodedStill, StillRecord
from idol_prep.schema import DataError, NoClipsError, StillSet
from idol_prep.stills import StillWriter, binary_mask, encode_picture

GROUPS, SAMPLES = 3, 4


def picture_of(number: int, height: int = 24, width: int = 16) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def mask_of(number: int) -> np.ndarray:
    return binary_mask(picture_of(number)[..., 0])


def still_of(number: int) -> EncodedStill:
    record = StillRecord(
        key=f"p{number:04d}",
        source=f"val/{number}.png",
        height=24,
        width=16,
        box=(1.0, 2.0, 9.5, 20.0),
        scores={"area": 0.25},
    )
    picture, mask = encode_picture(picture_of(number)), encode_picture(mask_of(number))
    return EncodedStill(record=record, suffix=".png", picture=picture, mask=mask)


def reject_of(number: int) -> Reject:
    return Reject(id=f"p{number:04d}", source=f"val/{number}.png", stage="quality", reason="no person: nobody is there")


def writer_of(root: Path, groups: int = GROUPS) -> StillWriter:
    return StillWriter(root, groups=groups, recipe={"kind": "test"}, info={"source": {"name": "test"}})


def write(root: Path, order: tuple[int, ...] = (0, 1, 2)) -> StillSet:
    """Group 1 has nothing but rejects."""
    writer = writer_of(root)
    for group in order:
        numbers = range(group * SAMPLES, (group + 1) * SAMPLES)
        writer.write_group(group, (reject_of(n) if group == 1 else still_of(n) for n in numbers))
    done = writer.finish()
    assert done is not None
    return done


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in root.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "set")
    return tmp_path / "set"


def test_what_comes_out_is_what_went_in(root):
    stills = StillSet.open(root)
    assert len(stills) == 8
    assert [(shard.path.name, shard.start, shard.samples) for shard in stills.shards] == [
        ("000000.tar", 0, 4),
        ("000002.tar", 4, 4),
    ]
    for at, number in enumerate([0, 1, 2, 3, 8, 9, 10, 11]):
        still = stills.sample(at)
        np.testing.assert_array_equal(still.picture, picture_of(number))
        np.testing.assert_array_equal(still.mask, mask_of(number))
        assert still.record == still_of(number).record
    for shard in stills.shards:
        stills.verify(shard)


def test_rejects_are_listed_with_their_reasons(root):
    lines = [json.loads(line) for line in (root / "rejects.jsonl").read_text().splitlines()]
    assert [(line["id"], line["reason"]) for line in lines] == [
        (f"p{n:04d}", "no person: nobody is there") for n in range(4, 8)
    ]
    assert json.loads((root / "stills.json").read_text())["counts"] == {"samples": 8, "rejects": 4}


def test_webdataset_sees_the_same_samples(root):
    """By its convention, read with nothing but tarfile: members of one key follow each other, named KEY.EXTENSION."""
    with tarfile.open(root / "shards" / "000000.tar") as archive:
        names = archive.getnames()
        assert names[:3] == ["p0000.png", "p0000.mask.png", "p0000.json"]
        assert len(names) == 3 * SAMPLES
        data = archive.extractfile(names[0])
        assert data is not None
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data.read()))), picture_of(0))


def test_any_order_of_work_gives_the_same_bytes(root, tmp_path):
    other = write(tmp_path / "other", order=(2, 0, 1))
    assert contents(other.root) == contents(root)
    assert other.content_hash == StillSet.open(root).content_hash


def test_an_error_in_a_group_leaves_nothing_of_it(tmp_path):
    writer = writer_of(tmp_path / "set")

    def broken():
        yield still_of(0)
        raise DataError("the source broke off")

    with pytest.raises(DataError, match="broke off"):
        writer.write_group(0, broken())
    assert not list((tmp_path / "set" / "shards").iterdir())
    assert writer.finish() is None
    with pytest.raises(DataError, match="is not finished"):
        StillSet.open(tmp_path / "set")


def test_what_is_there_is_kept_and_what_is_missing_made(root):
    before = contents(root)
    writer = writer_of(root)
    assert all(writer.has(group) for group in range(GROUPS))
    writer.forget(2)
    writer.write_group(2, (still_of(n) for n in range(8, 12)))
    writer.finish()
    assert contents(root) == before


def test_another_recipe_is_refused(root):
    with pytest.raises(DataError, match="made with groups=3, not 4"):
        writer_of(root, groups=4)


def test_nothing_kept_is_said(tmp_path):
    writer = writer_of(tmp_path / "set", groups=1)
    writer.write_group(0, [reject_of(0)])
    with pytest.raises(NoClipsError, match="no picture was kept"):
        writer.finish()


def test_a_key_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="'p0000' comes twice"):
        writer_of(tmp_path / "set").write_group(0, [still_of(0), still_of(0)])


@pytest.mark.parametrize("key", ["a.b", "../a", "", "ü", "a" * 81])
def test_keys_that_are_no_names(key):
    with pytest.raises(DataError, match="is no name in a shard"):
        StillRecord(key=key, source="", height=1, width=1, box=(0, 0, 1, 1))


def test_numbers_outside(root):
    stills = StillSet.open(root)
    for number in (-1, 8):
        with pytest.raises(DataError, match=f"there is no sample {number}, only 0 to 7"):
            stills.sample(number)


def damage(root: Path, member: str, data: bytes) -> None:
    """Overwrite the beginning of a member's bytes."""
    shard = root / "shards" / "000000.tar"
    with tarfile.open(shard) as archive:
        at = archive.getmember(member).offset_data
    whole = bytearray(shard.read_bytes())
    whole[at : at + len(data)] = data
    shard.write_bytes(whole)


@pytest.mark.parametrize("member", ["p0001.png", "p0001.mask.png", "p0001.json"])
def test_a_damaged_member_is_named(root, member):
    damage(root, member, b"\0" * 40)
    stills = StillSet.open(root)
    stills.sample(0)
    with pytest.raises(DataError, match=rf"000000\.tar/{member}: "):
        stills.sample(1)
    with pytest.raises(DataError, match=r"000000\.tar: is missing or changed"):
        stills.verify(stills.shards[0])


def test_a_damaged_header_is_named(root):
    damage(root, "p0000.png", b"")
    shard = root / "shards" / "000000.tar"
    shard.write_bytes(b"x" * 512 + shard.read_bytes()[512:])
    with pytest.raises(DataError, match=r"000000\.tar: no member where its index says"):
        StillSet.open(root).sample(0)


def test_a_shard_that_was_cut_off(root):
    shard = root / "shards" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(DataError, match=r"000000\.tar: has \d+ bytes, \d+ are listed"):
        StillSet.open(root).sample(0)


def test_a_lost_shard_or_index(root):
    (root / "shards" / "000000.npy").unlink()
    with pytest.raises(DataError, match=r"000000\.tar: the shard or its index cannot be read"):
        StillSet.open(root).sample(0)


def test_an_index_of_another_shard(root):
    np.save(root / "shards" / "000000.npy", np.zeros((3, 3, 2), np.int64))
    with pytest.raises(DataError, match=r"000000\.npy: indexes \(3, 3, 2\), not 4 samples"):
        StillSet.open(root).sample(0)


@pytest.mark.parametrize(("change", "words"), [({"samples": 0}, "is an empty shard"), ({"samples": "x"}, "is damaged")])
def test_a_list_that_cannot_be(root, change, words):
    file = root / "stills.json"
    document = json.loads(file.read_text())
    document["shards"]["000000.tar"] |= change
    file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=words):
        StillSet.open(root)


def test_a_soft_mask_is_refused(tmp_path):
    writer = writer_of(tmp_path / "set", groups=1)
    soft = still_of(0)
    soft = EncodedStill(
        record=soft.record, suffix=".png", picture=soft.picture, mask=encode_picture(picture_of(0)[..., 0])
    )
    writer.write_group(0, [soft])
    stills = writer.finish()
    assert stills is not None
    with pytest.raises(DataError, match=r"p0000\.mask\.png: has values other than 0 and 255"):
        stills.sample(0)


def test_no_set_at_all(tmp_path):
    with pytest.raises(DataError, match="is not a set of still pictures"):
        StillSet.open(tmp_path)


def test_it_travels_to_workers(root):
    stills = StillSet.open(root)
    stills.sample(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stills)).sample(5).picture, picture_of(9))


def test_memory_stays_at_one_sample(tmp_path):
    """A shard of 4 MB is written and read within a tenth of it."""
    writer = writer_of(tmp_path / "set", groups=1)
    big = encode_picture(picture_of(0, 200, 200))
    record = StillRecord(key="x", source="", height=200, width=200, box=(0, 0, 1, 1))
    mask = encode_picture(np.zeros((200, 200), np.uint8))
    numbered = ({"key": f"x{n}"} for n in range(32))
    stills = (
        EncodedStill(record=StillRecord.from_dict({**_plain(record), **n}), suffix=".png", picture=big, mask=mask)
        for n in numbered
    )
    tracemalloc.start()
    writer.write_group(0, stills)
    done = writer.finish()
    assert done is not None
    for number in range(32):
        done.sample(number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.shards[0].bytes > 3_800_000
    assert peak < 1_500_000


def _plain(record: StillRecord) -> dict:
    return {name: getattr(record, name) for name in ("key", "source", "height", "width", "box", "scores")}
