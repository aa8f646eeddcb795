"""Strips that were drawn before: a page is its own store, and a journal beside it keeps those of a run that broke off.

A strip is known by the content of its clip, so one of a clip that was made anew, or of another dataset, is not taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
"""Where a page holds its data."""
STYLE = 1
"""How strips look; a change is a new number, and all are drawn again."""


@dataclass(frozen=True, slots=True)
class StripStore:
    """The strips of one page, base64 by the SHA-256 of their clips."""

    known: dict[str, str]
    _journal: IO[str]

    def add(self, content: str, strip: str) -> None:
        """Note one."""
        self.known[content] = strip
        self._journal.write(json.dumps([STYLE, content, strip]) + "\n")


@contextmanager
def strip_store(page: Path) -> Iterator[StripStore]:
    """The store of a page that is written inside; what is added is kept until then, whatever happens.

    Raises `OSError` at once where the place cannot be written to.
    """
    file = page.with_name(f".{page.name}.strips")
    known = dict([*_of_page(page), *_of_journal(file)])
    with open(file, "a", encoding="utf-8") as journal:
        journal.write("\n")  # behind a line that may be half written
        yield StripStore(known, journal)
    file.unlink()


def _of_page(page: Path) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        found = DATA.search(page.read_text(encoding="utf-8"))
        data = json.loads(found[1]) if found else {}
        if data.get("style") == STYLE:
            yield from ((clip["content"], clip["strip"]) for clip in data["clips"] if "strip" in clip)


def _of_journal(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with suppress(ValueError):
            style, content, strip = json.loads(line)
            if style == STYLE:
                yield content, strip
