"""Reading a set of still pictures in shards: any sample by one seek, memory of one sample."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idol_prep._errors import DataError
from idol_prep._files import check_version, dict_hash, file_hash, read_json
from idol_prep._still_shard import Still, read_still

STILLS_FILE, SHARDS_FOLDER = "stills.json", "shards"
STILLS_FORMAT, STILLS_VERSION = "idol-stills", 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StillShard:
    """One tar file of a set; its samples are those from number ``start`` on."""

    path: Path
    start: int
    samples: int
    bytes: int
    sha256: str

    @property
    def index_path(self) -> Path:
        """Where its members' offsets and lengths are."""
        return self.path.with_suffix(".npy")

    def index(self) -> NDArray[np.int64]:
        """The index [samples,3,2], mapped and not read. Raises `DataError` where it or the shard is not as listed."""
        try:
            index = np.load(self.index_path, mmap_mode="r", allow_pickle=False)
            size = self.path.stat().st_size
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{self.path}: the shard or its index cannot be read ({error}); copy both again") from error
        if size != self.bytes:
            raise DataError(f"{self.path}: has {size} bytes, {self.bytes} are listed; copy it again")
        if index.dtype != np.int64 or index.shape != (self.samples, 3, 2):
            raise DataError(f"{self.index_path}: indexes {index.shape}, not {self.samples} samples; copy it again")
        return index


class StillSet:
    """A finished set of still pictures of people, with their masks (``docs/dataset_format.md``).

    >>> stills = StillSet.open(Path("data/coco"))
    >>> still = stills.sample(0)
    >>> still.picture, still.mask, still.record.box
    """

    def __init__(self, root: Path, info: dict[str, Any], shards: tuple[StillShard, ...]) -> None:
        self.root, self.info, self.shards = root, info, shards
        self._starts = [shard.start for shard in shards]
        self._indices: dict[int, NDArray[np.int64]] = {}

    @staticmethod
    def open(root: Path) -> StillSet:
        """Read ``stills.json``. Raises `DataError` for what is no finished set, and for an empty shard."""
        root = Path(root)
        file = root / STILLS_FILE
        info = read_json(file, "a set of still pictures; make one with `idol prep coco` or another of its sources")
        if info.get("format") != STILLS_FORMAT:
            raise DataError(f"{file}: has the format {info.get('format')!r}, {STILLS_FORMAT!r} is read here")
        check_version(file, info, STILLS_VERSION)
        if not info.get("shards"):
            raise DataError(f"{root}: the set is not finished; run the command that makes it again, it continues")
        return StillSet(root, info, _shards(root, info["shards"]))

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.shards)

    def __reduce__(self) -> tuple:
        return StillSet, (self.root, self.info, self.shards)

    def sample(self, number: int) -> Still:
        """Sample ``number``, from 0, in the order of the shards.

        Raises `DataError` for a number outside the set, and for anything damaged, with shard and member.
        """
        if not 0 <= number < len(self):
            raise DataError(f"{self.root}: there is no sample {number}, only 0 to {len(self) - 1}")
        at = bisect_right(self._starts, number) - 1
        if at not in self._indices:
            self._indices[at] = self.shards[at].index()
        return read_still(self.shards[at].path, self._indices[at][number - self._starts[at]])

    def verify(self, shard: StillShard) -> None:
        """Compare a shard with its SHA-256 and read its samples. Raises `DataError` for the first that is wrong."""
        if not shard.path.is_file() or file_hash(shard.path) != shard.sha256:
            raise DataError(f"{shard.path}: is missing or changed since it was written; copy it again")
        for number in range(shard.start, shard.start + shard.samples):
            self.sample(number)

    @property
    def content_hash(self) -> str:
        """SHA-256 over the shards' contents: the same data, wherever it lies, has the same."""
        return dict_hash({shard.path.name: shard.sha256 for shard in self.shards})


def _shards(root: Path, listed: dict[str, dict[str, Any]]) -> tuple[StillShard, ...]:
    names = sorted(listed)
    try:
        counts = [int(listed[name]["samples"]) for name in names]
        shards = tuple(
            StillShard(path=root / SHARDS_FOLDER / name, start=start, **_fields(listed[name]))
            for name, start in zip(names, accumulate(counts, initial=0), strict=False)
        )
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f"{root / STILLS_FILE}: its list of shards is damaged ({error}); copy it again") from error
    for shard in shards:
        if Path(shard.path.name).name != shard.path.name or shard.samples < 1:
            raise DataError(f"{shard.path}: is an empty shard; make the set again, or take it out of {STILLS_FILE}")
    return shards


def _fields(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("samples", "bytes", "sha256")}
