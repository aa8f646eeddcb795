"""The only place that prints: results on stdout, everything said on the way on stderr.

Four modes. ``human`` shows tables, notes and bars. ``json`` keeps stdout to one JSON document. ``quiet``
shows warnings and the result's tables alone. ``silent`` shows nothing: of several processes, one speaks.
"""

import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, TypeAlias

Mode: TypeAlias = Literal["human", "json", "quiet", "silent"]
Cell: TypeAlias = str | int | float | None

_SPOKEN = ("human", "quiet")
_PLAIN_SECONDS = 10.0
"""Without a terminal a bar becomes one line in this many seconds."""

_mode_in_force: ContextVar[Mode] = ContextVar("idol_output_mode", default="human")


class Output:
    """What a command says, whichever way the user wants to hear it.

    >>> out = Output.of(json=False)
    >>> out.table("Scores", ["name", "value"], [["depth MSE", 0.0031]])
    >>> with out.progress(16, "generate") as bar:
    ...     bar.advance()
    >>> out.result({"depth_mse": 0.0031})  # prints in json mode only
    """

    def __init__(self, mode: Mode = "human") -> None:
        self.mode: Mode = mode
        _mode_in_force.set(mode)

    @classmethod
    def of(cls, *, json: bool = False, quiet: bool = False) -> "Output":
        """The mode that a command's ``--json`` and ``--quiet`` ask for; ``--json`` wins."""
        return cls("json" if json else "quiet" if quiet else "human")

    def note(self, text: str) -> None:
        """One line about what happens next, on stderr; human mode only."""
        if self.mode == "human":
            _say(text)

    def warn(self, text: str) -> None:
        """One line that the user must not miss, on stderr, in every mode but silent."""
        if self.mode != "silent":
            _say(f"idol: warning: {one_line(text)}")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """A table on stdout, numbers to the right. Nothing in json mode: `result` carries the numbers."""
        if self.mode not in _SPOKEN:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        cells = [list(row) for row in rows]
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for index, name in enumerate(columns):
            numeric = any(isinstance(row[index], int | float) for row in cells if index < len(row))
            table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(format_cell(cell)) for cell in row))
        # A pipe has no width: let every line be as long as it needs, so that it can be searched.
        Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)

    def line(self, text: str = "") -> None:
        """One line of the result itself, on stdout (a path to open, say); nothing in json mode."""
        if self.mode in _SPOKEN:
            print(text, flush=True)

    @contextmanager
    def progress(self, total: int | None, description: str) -> Iterator["Bar"]:
        """A bar on stderr: drawn on a terminal, an occasional line elsewhere, silent in json and quiet."""
        if self.mode != "human":
            yield Bar(_SilentFace(), total)
        elif sys.stderr.isatty():
            with _RichFace.started(total, description) as face:
                yield Bar(face, total)
        else:
            bar = Bar(_PlainFace(description), total)
            yield bar
            bar.close()

    def result(self, data: dict[str, Any]) -> None:
        """The result as one JSON document on stdout; json mode only. NaN and infinity become null."""
        if self.mode == "json":
            print(json.dumps(_plain(data), indent=2, allow_nan=False), flush=True)


class Bar:
    """One running count: `advance` moves it, `update` sets it; ``note`` is a short text beside it."""

    def __init__(self, face: "_Face", total: int | None) -> None:
        self._face = face
        self.done = 0
        self.total = total
        self.text = ""

    def advance(self, step: int = 1, note: str | None = None) -> None:
        """Move on by ``step``."""
        self.update(self.done + step, note=note)

    def update(self, done: int | None = None, *, total: int | None = None, note: str | None = None) -> None:
        """Set the count, the total or the text; what is None stays."""
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.text = self.text if note is None else note
        self._face.show(self)

    def close(self) -> None:
        """Say the last state, where a line is all there is."""
        self._face.finish(self)


class _Face:
    def show(self, bar: Bar) -> None: ...

    def finish(self, bar: Bar) -> None: ...


class _SilentFace(_Face):
    pass


class _PlainFace(_Face):
    def __init__(self, description: str) -> None:
        self._description = description
        self._said_at = time.monotonic()
        self._said = ""

    def show(self, bar: Bar) -> None:
        if time.monotonic() - self._said_at >= _PLAIN_SECONDS:
            self.finish(bar)

    def finish(self, bar: Bar) -> None:
        self._said_at = time.monotonic()
        count = f"{bar.done}/{bar.total}" if bar.total is not None else str(bar.done)
        text = f"{self._description}: {count} {bar.text}".rstrip()
        if text != self._said:
            _say(text)
        self._said = text


class _RichFace(_Face):
    def __init__(self, update: Callable[..., None]) -> None:
        self._update = update

    @classmethod
    @contextmanager
    def started(cls, total: int | None, description: str) -> Iterator["_RichFace"]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(description, total=total, note="")
            yield cls(lambda **change: progress.update(task, **change))

    def show(self, bar: Bar) -> None:
        self._update(completed=bar.done, total=bar.total, note=bar.text)


def mode_in_force() -> Mode:
    """The mode of the command that runs now; what `cli._errors` answers in."""
    return _mode_in_force.get()


def reset_mode() -> None:
    """Back to human mode, before a command has said what it wants."""
    _mode_in_force.set("human")


def print_error(text: str) -> None:
    """``idol: error: TEXT`` on stderr."""
    _say(f"idol: error: {one_line(text)}")


def print_error_json(data: dict[str, Any]) -> None:
    """The error as the JSON document that a ``--json`` reader waits for."""
    print(json.dumps(_plain(data)), flush=True)


def warnings_as_lines() -> None:
    """Show `warnings.warn` of our packages as one line each, and leave other packages' to their authors."""

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        _say(f"idol: warning: {one_line(str(message))}")

    warnings.showwarning = show
    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", category=UserWarning, module=r"(idol_prep|idol_model|idol_eval|cli)\b")


def one_line(text: str) -> str:
    """``text`` with every run of white space as one blank."""
    return " ".join(text.split())


def format_cell(cell: Cell) -> str:
    """A number with four significant digits, nothing as an empty cell, text as it is."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return str(cell)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _plain(value: Any) -> Any:
    """``value`` in the types that JSON has; numpy and torch scalars through their own ``item``."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str | int | float | bool | None) and hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
