"""What was left out of a dataset, and why: one small file a clip while work goes on, one list when it rests.

Each reject is written whole under its own name, so that processes side by side, or killed in between, lose none. The
list ``rejects.jsonl`` is made from them in order of ids, and takes their place.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from idol_prep._errors import DataError
from idol_prep._files import REJECTS_FILE
from idol_prep._leftovers import replaced
from idol_prep._records import ClipRecord

_FOLDER = ".rejects"
_FILTERED = ("quality",)
"""Stages that leave out what could be read, but is not wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """One clip that was left out: at which stage, and why, its kind before the reason's colon."""

    id: str
    source: str
    stage: str
    reason: str
    next_frame: int | None = None
    """Where its source goes on behind it; None where it ends."""

    @property
    def failed(self) -> bool:
        """Whether something went wrong, rather than that the clip was not good enough."""
        return self.stage not in _FILTERED


class RejectLog:
    """The rejects of one dataset."""

    def __init__(self, root: Path) -> None:
        self._list, self._folder = root / REJECTS_FILE, root / _FOLDER

    def add(self, reject: Reject) -> None:
        """Note one; the latest word on an id counts."""
        self._folder.mkdir(exist_ok=True)
        with replaced(self._folder / f"{reject.id}.json") as stream:
            stream.write(_line(reject).encode())

    def is_open(self) -> bool:
        """Whether something was noted since the list was made."""
        return self._folder.is_dir()

    def read(self) -> dict[str, Reject]:
        """All of them by id. Raises `DataError` for a damaged list."""
        rejects = {}
        for file in (self._list, *sorted(self._folder.glob("*.json"))):
            rejects |= {reject.id: reject for reject in _read(file)}
        return rejects

    def settle(self, records: Iterable[ClipRecord]) -> dict[str, Reject]:
        """Make the list anew and return it: clips that were made since are struck off, lost rests come in."""
        rejects = self.read()
        for record in records:
            rejects.pop(record.id, None)
            rejects.pop(rest_id(record.id), None)
            if record.lost:
                rejects[rest_id(record.id)] = lost_rest(record)
        if rejects:
            with replaced(self._list) as stream:
                stream.writelines(_line(rejects[clip_id]).encode() for clip_id in sorted(rejects))
        else:
            self._list.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        return rejects


def rest_id(clip_id: str) -> str:
    """What stands in the list for the part of a source that was lost behind a clip."""
    return f"{clip_id}-rest"


def lost_rest(record: ClipRecord) -> Reject:
    """The reject of what lies behind a clip whose source breaks off."""
    return Reject(id=rest_id(record.id), source=record.source, stage="decode", reason=record.lost)


def _line(reject: Reject) -> str:
    return json.dumps(asdict(reject)) + "\n"


def _read(file: Path) -> list[Reject]:
    known = {one.name for one in fields(Reject)}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [Reject(**{name: value for name, value in one.items() if name in known}) for one in found]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: is damaged ({error}); delete it, and what it lists is tried again") from error
