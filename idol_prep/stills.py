"""Writing still pictures into shards: whole shards or none, each on its own, by as many workers as one likes.

The pictures of a source are divided into groups before any is looked at. A group becomes a shard of its own (or none,
where all its pictures were rejected) and a ledger, written last, that says so: what a shard holds depends on its group
alone, so that the set is the same byte for byte however the work was divided or cut.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idol_prep._files import REJECTS_FILE, begin, explained, file_hash, locked, read_json, write_json
from idol_prep._leftovers import clear, replaced
from idol_prep._rejects import Reject
from idol_prep._still_set import SHARDS_FOLDER, STILLS_FILE, STILLS_FORMAT, STILLS_VERSION, StillSet
from idol_prep._still_shard import EncodedStill, shard_writer
from idol_prep.schema import DataError, NoClipsError

Outcome = EncodedStill | Reject
"""What became of one picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """What became of one group."""

    samples: int
    bytes: int
    sha256: str
    rejects: tuple[Reject, ...]

    def shard(self) -> dict[str, Any]:
        """As ``stills.json`` lists it."""
        return {"samples": self.samples, "bytes": self.bytes, "sha256": self.sha256}


class StillWriter:
    """Adds shards to the set in ``root``, which is made if it is not there.

    ``groups`` is how many groups the source has; ``recipe`` what all samples have in common: opening a root that was
    begun with another raises `DataError`. ``info`` is further matter for ``stills.json`` (at least ``source``).
    Several processes may write different groups; whoever comes last finishes.
    """

    def __init__(self, root: Path, *, groups: int, recipe: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        self.root, self.groups = Path(root), groups
        head = {"format": STILLS_FORMAT, "version": STILLS_VERSION}
        self._info = head | {"recipe": json.loads(json.dumps({**recipe, "groups": groups})), **info}
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root):
                begin(self.root / STILLS_FILE, self._info)
                self._shards.mkdir(exist_ok=True)
                clear(self.root)
                clear(self._shards)

    def has(self, group: int) -> bool:
        """Whether that group is settled."""
        return settled(self.root, group)

    def ledger(self, group: int) -> Ledger:
        """What became of a settled group."""
        document = read_json(self._file(group, ".json"), "a set of still pictures")
        rejects = tuple(Reject(**one) for one in document.pop("rejects"))
        return Ledger(**document, rejects=rejects)

    def forget(self, group: int) -> None:
        """Have a settled group made again."""
        self._file(group, ".json").unlink(missing_ok=True)

    def write_group(self, group: int, outcomes: Iterable[Outcome]) -> Ledger:
        """Write what became of a group's pictures, in their order, holding one at a time. Nothing is left of an error.

        Raises `DataError` for a full disk or a key that comes twice.
        """
        rejects: list[Reject] = []
        with explained(self.root, f"writing shard {group:06d}"):
            with replaced(self._file(group, ".tar")) as stream, shard_writer(stream) as writer:
                for outcome in outcomes:
                    if isinstance(outcome, Reject):
                        rejects.append(outcome)
                    else:
                        writer.add(outcome)
            return self._settle(group, writer.index(), rejects)

    def finish(self) -> StillSet | None:
        """List shards and rejects once every group is settled, and open the set; None while some are not.

        Raises `NoClipsError` where no picture was good.
        """
        with explained(self.root), locked(self.root):
            if not all(self.has(group) for group in range(self.groups)):
                return None
            ledgers = [self.ledger(group) for group in range(self.groups)]
            rejects = [reject for ledger in ledgers for reject in ledger.rejects]
            with replaced(self.root / REJECTS_FILE) as stream:
                stream.writelines((json.dumps(asdict(reject)) + "\n").encode() for reject in rejects)
            shards = {f"{group:06d}.tar": one.shard() for group, one in enumerate(ledgers) if one.samples}
            if not shards:
                raise NoClipsError(f"{self.root}: no picture was kept; see {REJECTS_FILE} for the reasons")
            counts = {"samples": sum(one.samples for one in ledgers), "rejects": len(rejects)}
            write_json(self.root / STILLS_FILE, self._info | {"counts": counts, "shards": shards})
        return StillSet.open(self.root)

    @property
    def _shards(self) -> Path:
        return self.root / SHARDS_FOLDER

    def _file(self, group: int, suffix: str) -> Path:
        return self._shards / f"{group:06d}{suffix}"

    def _settle(self, group: int, index: NDArray[np.int64], rejects: list[Reject]) -> Ledger:
        """Write index and ledger beside the shard; a shard without samples goes."""
        shard = self._file(group, ".tar")
        size, digest = shard.stat().st_size, file_hash(shard)
        if len(index):
            with replaced(self._file(group, ".npy")) as stream:
                np.save(stream, index, allow_pickle=False)
        else:
            shard.unlink()
            self._file(group, ".npy").unlink(missing_ok=True)
            size, digest = 0, ""
        ledger = Ledger(samples=len(index), bytes=size, sha256=digest, rejects=tuple(rejects))
        write_json(self._file(group, ".json"), asdict(ledger))
        return ledger


def settled(root: Path, group: int) -> bool:
    """Whether that group of the set in ``root`` is settled."""
    return (root / SHARDS_FOLDER / f"{group:06d}.json").is_file()


def is_set(root: Path) -> bool:
    """Whether a set of still pictures lies in ``root``, be it unfinished."""
    return (root / STILLS_FILE).is_file()


def is_finished(root: Path) -> bool:
    """Whether the set in ``root`` lists its shards."""
    return bool(read_json(root / STILLS_FILE, "a set of still pictures").get("shards"))


def encode_picture(picture: NDArray[np.uint8]) -> bytes:
    """RGB uint8 [H,W,3] or a mask uint8 [H,W] as PNG, the same bytes for the same pixels."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def binary_mask(coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Coverage uint8 [H,W] as a mask of 0 and 255: the person is where at least half is covered."""
    if coverage.ndim != 2:
        raise DataError(f"a mask has the shape {coverage.shape}; one value a pixel [H,W] is needed")
    return np.where(coverage > 127, np.uint8(255), np.uint8(0))
