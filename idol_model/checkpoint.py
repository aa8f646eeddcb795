"""Checkpoints of a run: safetensors for tensors, JSON for the rest, whole or not there.

A checkpoint is written under a temporary name, flushed to the disk and renamed; its ``state.json`` holds the hash of
every file beside it. A kill at any moment leaves the earlier checkpoints and perhaps a temporary folder, which the next
start removes.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from idol_model.tensor_file import write_tensors

FORMAT = "idol-checkpoint"
VERSION = 1
KEPT = 2
_TEMPORARY = ".writing-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a run stands: ``step`` steps of stage ``stage_index`` (named ``stage``) are done."""

    stage: str
    stage_index: int
    step: int

    @property
    def order(self) -> tuple[int, int]:
        """Sorts positions of one run in time."""
        return self.stage_index, self.step

    @property
    def folder(self) -> str:
        """Name of the checkpoint there."""
        return f"{self.stage}-{self.step:06d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint on disk. ``extra`` is what was saved beside the tensors, as plain JSON data."""

    path: Path
    position: Position
    extra: Mapping[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of one file (``model``, ``optimizer``, ``ema``), on the CPU."""
        return load_file(self.path / f"{name}.safetensors")


def shipped() -> Path:
    """The demo checkpoint that comes with the package, a diffusers folder."""
    path = Path(__file__).parent / "assets" / "demo"
    if not (path / "model_index.json").exists():
        raise FileNotFoundError(f"{path}: the demo checkpoint is not in this installation; install the package again")
    return path


def save(
    folder: Path,
    position: Position,
    tensors: Mapping[str, Mapping[str, Tensor]],
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``folder/<stage>-<step>`` and drop all but the newest `KEPT`.

    Raises:
        OSError: the disk is full or not writable; the earlier checkpoints are untouched.
    """
    final = folder / position.folder
    temporary = folder / f"{_TEMPORARY}{final.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        hashes = {name: write_tensors(temporary / f"{name}.safetensors", group) for name, group in tensors.items()}
        _write_state(temporary / "state.json", position, hashes, extra or {})
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _replace(temporary, final)
    _prune(folder)
    return final


def newest(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint; damaged ones are named in a warning and passed over."""
    if not folder.is_dir():
        return None
    clean(folder)
    for checkpoint in _listed(folder):
        damage = _damage(checkpoint)
        if damage is None:
            return checkpoint
        warnings.warn(f"{checkpoint.path}: {damage}; continuing from an older checkpoint")
    return None


def located(folder: Path) -> Path:
    """Where the newest complete checkpoint is; ``folder`` itself where there is none."""
    found = newest(folder)
    return folder if found is None else found.path


def clean(folder: Path) -> None:
    """Remove what a kill left half-written or half-removed."""
    for leftover in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(folder: Path) -> list[Checkpoint]:
    """Checkpoints with a readable state of this format, newest first."""
    found = (_read_state(path) for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted((item for item in found if item), key=lambda item: item.position.order, reverse=True)


def _read_state(path: Path) -> Checkpoint | None:
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if (state["format"], state["version"]) != (FORMAT, VERSION):
            raise ValueError(f"is {state['format']} version {state['version']}, not {FORMAT} {VERSION}")
        return Checkpoint(path=path, position=Position(**state["position"]), extra=state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path}: not a complete checkpoint ({error}); passed over")
        return None


def _damage(checkpoint: Checkpoint) -> str | None:
    for name, expected in checkpoint.extra["sha256"].items():
        file = checkpoint.path / f"{name}.safetensors"
        if not file.exists():
            return f"{file.name} is missing"
        if file_hash(file) != expected:
            return f"{file.name} is damaged (its hash differs)"
    return None


def _write_state(path: Path, position: Position, hashes: Mapping[str, str], extra: Mapping[str, Any]) -> None:
    state = {
        "format": FORMAT,
        "version": VERSION,
        "position": {"stage": position.stage, "stage_index": position.stage_index, "step": position.step},
        "sha256": dict(hashes),
        "torch": torch.__version__,
        **extra,
    }
    try:
        path.write_text(json.dumps(state, indent=2), encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    _flush(path)


def _replace(temporary: Path, final: Path) -> None:
    if final.exists():
        _remove(final)
    os.replace(temporary, final)
    _flush(final.parent)


def _prune(folder: Path) -> None:
    for old in _listed(folder)[KEPT:]:
        _remove(old.path)


def _remove(path: Path) -> None:
    """Take a checkpoint out of sight before its files go, so that no half of it is ever seen."""
    going = path.with_name(f"{_TEMPORARY}gone-{path.name}")
    shutil.rmtree(going, ignore_errors=True)
    os.replace(path, going)
    shutil.rmtree(going, ignore_errors=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
