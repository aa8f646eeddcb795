"""Shards and back: the same bytes, and no member anywhere else."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from idol_prep._files import file_hash
from idol_prep.packing import pack, unpack
from idol_prep.schema import DataError, Dataset
from idol_prep.sources import synthetic


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packing") / "data"
    synthetic.generate(root, 3, 0, size=(32, 32), frames=2)
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = (file for file in root.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


@pytest.mark.parametrize(("size", "shards"), [(1 << 30, 1), (1, 3)])
def test_there_and_back_is_the_same(dataset, tmp_path, size, shards):
    assert pack(dataset, tmp_path / "packed", shard_bytes=size) == shards
    assert unpack(tmp_path / "packed", tmp_path / "again") == 3
    assert contents(tmp_path / "again") == contents(dataset)
    assert Dataset.open(tmp_path / "packed").content_hash == Dataset.open(dataset).content_hash


def test_packing_twice_gives_the_same_bytes(dataset, tmp_path):
    for name in ("one", "two"):
        pack(dataset, tmp_path / name, shard_bytes=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_what_is_there_is_kept(dataset, tmp_path):
    pack(dataset, tmp_path / "packed", shard_bytes=1)
    (tmp_path / "packed" / "shards" / "000001.tar").unlink()
    assert pack(dataset, tmp_path / "packed", shard_bytes=1) == 3
    unpack(tmp_path / "packed", tmp_path / "again")
    (tmp_path / "packed" / "shards" / "000000.tar").unlink()
    assert unpack(tmp_path / "packed", tmp_path / "again") == 3


def test_a_changed_shard_is_refused(dataset, tmp_path):
    pack(dataset, tmp_path / "packed")
    shard = tmp_path / "packed" / "shards" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-512] + b"x" * 512)
    with pytest.raises(DataError, match=r"000000\.tar: is missing or changed"):
        unpack(tmp_path / "packed", tmp_path / "again")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "other/frames.mkv", "dancer-0-00000/../../evil"])
def test_members_that_climb_out_are_refused(dataset, tmp_path, name):
    pack(dataset, tmp_path / "packed")
    shard = tmp_path / "packed" / "shards" / "000000.tar"
    with tarfile.open(shard, "a") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    listing = tmp_path / "packed" / "shards.json"
    document = json.loads(listing.read_text())
    document["shards"]["000000.tar"]["sha256"] = file_hash(shard)
    listing.write_text(json.dumps(document))
    with pytest.raises(DataError, match="does not belong there"):
        unpack(tmp_path / "packed", tmp_path / "home" / "again")
    assert not (tmp_path / "home" / "evil").exists()
    assert list((tmp_path / "home" / "again" / "clips").iterdir()) == []


def test_what_is_no_packed_dataset(tmp_path):
    with pytest.raises(DataError, match="is not a packed dataset"):
        unpack(tmp_path, tmp_path / "out")
