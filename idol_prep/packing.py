"""A prepared dataset as a few large tar files, and back: for object stores, and disks that dislike many small files.

The shards hold the clips' files as they are, the same bytes for the same dataset; ``shards.json`` says which clips are
where, with the SHA-256 of each shard. The manifest and the list of rejects lie beside them, readable without unpacking.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from idol_prep import _files as names
from idol_prep._files import explained, file_hash, read_json, write_json
from idol_prep._leftovers import clear, owned, replaced
from idol_prep._records import ID
from idol_prep.schema import ClipRecord, DataError, Dataset

SHARDS_FILE, SHARDS_FOLDER = "shards.json", "shards"
SHARD_BYTES = 1 << 30

_BESIDE = (names.DATASET_FILE, names.MANIFEST_FILE, names.REJECTS_FILE)
_TEMPORARY = ".unpacking-"
Listener = Callable[[int, int], None]


def pack(root: Path, out: Path, *, shard_bytes: int = SHARD_BYTES, progress: Listener | None = None) -> int:
    """Write the dataset in ``root`` as shards into ``out``; returns how many. Run again, it goes on.

    Raises `DataError` for an unfinished dataset, and for a folder that holds something else.
    """
    if shard_bytes < 1:
        raise DataError(f"shards of {shard_bytes} bytes hold nothing; take at least 1")
    dataset = Dataset.open(root)
    with explained(out):
        (out / SHARDS_FOLDER).mkdir(parents=True, exist_ok=True)
        clear(out / SHARDS_FOLDER)
        listed, groups = {}, list(_groups(dataset, shard_bytes))
        for number, group in enumerate(groups):
            file = out / SHARDS_FOLDER / f"{number:06d}.tar"
            if not file.is_file():
                _write_shard(dataset, group, file)
            listed[file.name] = {"sha256": file_hash(file), "clips": [record.id for record in group]}
            if progress:
                progress(number + 1, len(groups))
        for name in _BESIDE:
            if (root / name).is_file():
                _copy(root / name, out / name)
        write_json(out / SHARDS_FILE, {"format": "idol-shards", "version": 1, "shards": listed})
    return len(groups)


def unpack(packed: Path, out: Path, *, progress: Listener | None = None) -> int:
    """Make the dataset again from its shards; returns how many clips it has. Run again, it goes on.

    Raises `DataError` for a shard that is missing or changed, and for one whose members do not belong there.
    """
    listed = read_json(packed / SHARDS_FILE, "a packed dataset; make one with `idol prep pack`")["shards"]
    total = sum(len(shard["clips"]) for shard in listed.values())
    done = 0
    with explained(out):
        clips = out / names.CLIPS_FOLDER
        clips.mkdir(parents=True, exist_ok=True)
        clear(out)
        clear(clips, _TEMPORARY)
        for name, shard in listed.items():
            if not all((clips / clip).is_dir() for clip in shard["clips"]):
                _unpack_shard(packed / SHARDS_FOLDER / name, shard, clips)
            done += len(shard["clips"])
            if progress:
                progress(done, total)
        for name in _BESIDE:
            if (packed / name).is_file():
                _copy(packed / name, out / name)
    return len(Dataset.open(out).records())


def _groups(dataset: Dataset, shard_bytes: int) -> Iterator[list[ClipRecord]]:
    """Clips in order, as many as fit into a shard, at least one."""
    group: list[ClipRecord] = []
    size = 0
    for record in dataset.records():
        folder = dataset.root / names.CLIPS_FOLDER / record.id
        here = sum(file.stat().st_size for file in folder.iterdir())
        if group and size + here > shard_bytes:
            yield group
            group, size = [], 0
        group.append(record)
        size += here
    if group:
        yield group


def _write_shard(dataset: Dataset, group: list[ClipRecord], file: Path) -> None:
    with replaced(file) as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for record in group:
            folder = dataset.root / names.CLIPS_FOLDER / record.id
            for one in sorted(folder.iterdir()):
                data = one.read_bytes()
                member = tarfile.TarInfo(f"{record.id}/{one.name}")  # no dates, no owners: the same bytes again
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def _unpack_shard(file: Path, shard: dict, clips: Path) -> None:
    if not file.is_file() or file_hash(file) != shard["sha256"]:
        raise DataError(f"{file}: is missing or changed since it was packed; copy it again")
    temporary = clips / owned(_TEMPORARY + file.stem)
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                clip, name = _place(file, member, shard["clips"])
                (temporary / clip).mkdir(parents=True, exist_ok=True)
                with archive.extractfile(member) as source, open(temporary / clip / name, "wb") as target:  # type: ignore[union-attr]
                    shutil.copyfileobj(source, target)
        for clip in shard["clips"]:
            if not (clips / clip).is_dir():
                (temporary / clip).rename(clips / clip)
    except tarfile.TarError as error:
        raise DataError(f"{file}: is no readable tar file ({error}); copy it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _place(file: Path, member: tarfile.TarInfo, clips: list[str]) -> tuple[str, str]:
    """Clip and file name of a member. Raises `DataError` where it would land anywhere else."""
    parts = PurePosixPath(member.name).parts
    good = member.isfile() and len(parts) == 2 and parts[0] in clips and ID.fullmatch(parts[0]) and parts[1] != ".."
    if not good:
        raise DataError(f"{file}: its member {member.name!r} does not belong there; do not trust this file")
    return parts[0], parts[1]


def _copy(source: Path, target: Path) -> None:
    with replaced(target) as stream:
        stream.write(source.read_bytes())
