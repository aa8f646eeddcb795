"""The trained model as it is taken home: half precision, no file of 15 MB, and the same in few archives."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.setting import Setting
from idol_model import IdolPipeline

MOST = 15_000_000
"""Bytes of a file."""
_SHARD = "14MB"
_ROOM = 14_500_000
"""Bytes of content in an archive; the rest is its own."""


def ship(model: Path, setting: Setting) -> dict[str, Any]:
    """Write ``work/model``, a diffusers folder in shards, and ``out/model-N.tar``, which unpack to it."""
    pipe = IdolPipeline.from_pretrained(model)
    folder = setting.work / "model"
    temporary = folder.with_name(".model")
    shutil.rmtree(temporary, ignore_errors=True)
    pipe.to(torch.float16).save_pretrained(temporary, max_shard_size=_SHARD)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    archives = pack(folder, setting.out)
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    largest = max([*sizes.values(), *(file.stat().st_size for file in archives)])
    return {
        "from": str(model.relative_to(setting.work)) if model.is_relative_to(setting.work) else str(model),
        "recipe": json.loads((folder / "recipe.json").read_text())["name"],
        "archives": [file.name for file in archives],
        "bytes": sum(sizes.values()),
        "largest_file": largest,
        "passed": largest < MOST,
    }


def pack(folder: Path, out: Path) -> list[Path]:
    """Archives of whole files, as few as their limit allows; those of an earlier model are replaced."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("model-*.tar"):
        old.unlink()
    files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda file: -file.stat().st_size)
    volumes: list[list[Path]] = []
    for file in files:
        fits = (v for v in volumes if sum(f.stat().st_size + 1024 for f in v) + file.stat().st_size < _ROOM)
        volume = next(fits, None)
        if volume is None:
            volumes.append([file])
        else:
            volume.append(file)
    return [_archive(out / f"model-{number}.tar", volume, folder) for number, volume in enumerate(volumes, 1)]


def _archive(path: Path, files: list[Path], folder: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for file in files:
            archive.add(file, Path("model") / file.relative_to(folder))
    return path


def carried(setting: Setting) -> Path | None:
    """The model that an earlier invocation took home, unpacked from ``out``; None where there is none."""
    archives = sorted(setting.out.glob("model-*.tar"))
    if not archives:
        return None
    folder = setting.work / "carried"
    for archive in archives:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    (found,) = folder.iterdir()
    return found
