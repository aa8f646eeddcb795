"""A run's folder: the recipe it follows, where it came from, its log. The same recipe and data continue it.

``RUN/recipe.json`` resolved recipe; ``run.json`` versions, data, command; ``log.jsonl`` one line a logged step;
``checkpoints/``; ``latents/`` (a cache, safe to delete); ``previews/`` (on demand);
``model/`` the finished diffusers folder.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from idol_model.config import ConfigError
from idol_model.recipe import Recipe

FREE_FIELDS = ("summary", "sampling", "log_every", "save_every", "data.most_faults", "memory")
"""Recipe fields that may change when a run continues: they change what is written or drawn, or how much is held at
once; the weights, if at all, by rounding."""

LOCK = ".lock"
"""File in the run folder that a training process holds."""

_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "safetensors")


class RunMismatch(ValueError):
    """The folder holds a run of another recipe or other data; the message names the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a run is doing. ``stage`` counts ``done`` of ``total``; ``terms`` are the losses of the step just made."""

    stage: str
    done: int
    total: int
    terms: Mapping[str, float] = field(default_factory=dict)
    lr: float = 0.0
    seconds: float = 0.0
    """Of the step just made."""
    memory: int = 0
    """The most bytes held so far: of the GPU, or resident on the CPU."""


Report = Callable[[Progress], None]
Data = Sequence[Mapping[str, Any]]
"""Sources of a training: path, content hash, weight."""


class RunFolder:
    """Reads and writes everything of a run but its tensors."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.checkpoints = path / "checkpoints"
        self.latents = path / "latents"
        self.model = path / "model"

    @classmethod
    def open(
        cls, path: Path, recipe: Recipe, data: Data, command: list[str], *, writes: bool = True, **more: Any
    ) -> "RunFolder":
        """The run in ``path``, begun or continued. ``data`` names its sources, their content hashes and weights.

        ``more`` goes into ``run.json`` where the run begins.

        Of several processes one ``writes``; it opens the folder first.

        Raises:
            RunMismatch: the folder holds a run of another recipe or other data.
        """
        run = cls(path, writes=writes)
        path.mkdir(parents=True, exist_ok=True)
        if (path / "recipe.json").exists():
            run._check(recipe, data)
        else:
            write_json(path / "run.json", {**_origin(data, command), **more})
            write_json(path / "recipe.json", recipe.to_dict())
        return run

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep every other training out of the folder for a while.

        Raises:
            RunMismatch: another process trains here.
        """
        if not self.writes:
            yield
            return
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=1)  # somebody reading the run's status holds it for an instant
        except Timeout:
            raise RunMismatch(
                f"{self.path}: another process is training here; wait for it, or choose another folder with -o"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def finished(self) -> bool:
        """Whether the trained model is in place (it is renamed there when whole)."""
        return self.model.is_dir()

    def log(self, line: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        self._append("log.jsonl", line)

    def note_preview(self, line: Mapping[str, Any]) -> None:
        """Append one line to ``previews.jsonl``."""
        self._append("previews.jsonl", line)

    def rewind_log(self, stage_index: int, step: int) -> None:
        """Drop the lines after a checkpoint: those steps are made again."""
        path = self.path / "log.jsonl"
        if self.writes and path.exists():
            kept = [line for line in whole_lines(path) if (line["stage_index"], line["step"]) <= (stage_index, step)]
            write_text(path, "".join(json.dumps(line) + "\n" for line in kept))

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        if self.writes:
            _append(self.path / name, line)

    def _check(self, recipe: Recipe, data: Data) -> None:
        change = first_difference(self.recipe().to_dict(), recipe.to_dict())
        if change:
            raise RunMismatch(
                f"{self.path} holds a run of another recipe ({change}); choose another folder with -o, and "
                "--fork to begin it from this run"
            )
        before = json.loads((self.path / "run.json").read_text(encoding="utf-8"))["data"]
        before = [before] if isinstance(before, dict) else before  # runs from before there could be several
        if [_identity(source) for source in before] != [_identity(source) for source in data]:
            raise RunMismatch(
                f"{self.path} holds a run on other data (was {_listed(before)}, now {_listed(data)}); "
                "choose another folder with -o"
            )

    def recipe(self) -> Recipe:
        """The recipe of the run as it stands; fields that are newer than the run have their defaults."""
        try:
            return Recipe.from_dict(json.loads((self.path / "recipe.json").read_text(encoding="utf-8")))
        except (ConfigError, ValueError) as error:
            raise RunMismatch(
                f"{self.path / 'recipe.json'}: is of another version of idol_model ({error}); choose another folder "
                "with -o"
            ) from error


def _identity(source: Mapping[str, Any]) -> tuple[str, float]:
    """What makes a source the same wherever it lies."""
    return source["content_hash"], source.get("weight", 1.0)


def _listed(sources: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{s['path']} {s['content_hash'][:12]} weight {s.get('weight', 1.0):g}" for s in sources)


def first_difference(before: Any, after: Any, path: str = "") -> str | None:
    """Name of the first field that differs between two recipes as data, with both values; None when equal."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            here = f"{path}.{name}" if path else name
            if here not in FREE_FIELDS:
                change = first_difference(before.get(name), after.get(name), here)
                if change:
                    return change
        return None
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        changes = (first_difference(a, b, f"{path}.{i}") for i, (a, b) in enumerate(zip(before, after, strict=True)))
        return next((change for change in changes if change), None)
    return None if before == after else f"{path}: was {before!r}, now {after!r}"


def write_json(path: Path, data: Any) -> None:
    """Write JSON by way of a temporary name, so that a reader sees the old file or the new one."""
    write_text(path, json.dumps(data, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text by way of a temporary name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def _append(path: Path, line: Mapping[str, Any]) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The log's lines; a last line cut short by a kill is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def _origin(data: Data, command: list[str]) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "data": [dict(source) for source in data],
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """Commit of the source tree this package was imported from; None where there is no checkout, or no git."""
    if shutil.which("git") is None:
        return None
    here = Path(__file__).parent
    answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None
