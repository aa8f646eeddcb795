"""Errors that concern one clip or picture become its reject, with stage and reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from idol_prep._errors import DataError


class Rejected(Exception):
    """A clip or picture that is left out: at which stage, and why."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage, self.reason = stage, reason


@contextmanager
def rejecting(stage: str, kind: str) -> Iterator[None]:
    """What concerns one clip or picture becomes its reject; a full disk, missing packages and Ctrl-C pass."""
    try:
        yield
    except DataError as error:
        raise Rejected(stage, f"{kind}: {error}") from error
    except (RuntimeError, ValueError, ArithmeticError, IndexError) as error:
        raise Rejected(stage, f"fault: {type(error).__name__}: {error}") from error
