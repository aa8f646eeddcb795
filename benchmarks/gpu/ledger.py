"""What a part has found so far: one JSON file that is whole at any moment, so that a kill loses one figure at most."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Status = Literal["running", "done", "failed", "skipped"]


class Ledger:
    """The figures of one part by name, each ``{status, seconds, values | reason}``. Reads what is there already."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.figures: dict[str, dict[str, Any]] = read(file)

    def begin(self, name: str) -> None:
        """A figure is being made; should the process die now, this is what it died of."""
        self.figures[name] = {"status": "running", "began": time.time()}
        self._write()

    def done(self, name: str, values: Mapping[str, Any]) -> None:
        """A figure is made."""
        self._end(name, {"status": "done", "values": dict(values)})

    def failed(self, name: str, reason: str) -> None:
        """A figure could not be made."""
        self._end(name, {"status": "failed", "reason": reason})

    def skipped(self, name: str, reason: str) -> None:
        """A figure was not tried."""
        self._end(name, {"status": "skipped", "reason": reason})

    def forget_unsettled(self) -> None:
        """Let a new invocation try again what was not made, or was not as it should be."""
        self.figures = {
            name: found
            for name, found in self.figures.items()
            if found["status"] == "done" and found["values"].get("passed") is not False
        }
        self._write()

    def forget(self, name: str) -> None:
        """Let one figure be tried again."""
        self.figures.pop(name, None)
        self._write()

    @property
    def running(self) -> str | None:
        """The figure that is under way."""
        return next((name for name, found in self.figures.items() if found["status"] == "running"), None)

    def _end(self, name: str, found: dict[str, Any]) -> None:
        began = self.figures.get(name, {}).get("began")
        self.figures[name] = found | ({} if began is None else {"seconds": round(time.time() - began, 2)})
        self._write()

    def _write(self) -> None:
        write_json(self._file, {"part": self._file.stem, "figures": self.figures})


def read(file: Path) -> dict[str, dict[str, Any]]:
    """The figures in a part's file; none where there is no file."""
    return json.loads(file.read_text(encoding="utf-8"))["figures"] if file.is_file() else {}


def write_json(file: Path, data: Any) -> None:
    """Write by way of a temporary name: a reader sees the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    temporary.replace(file)
