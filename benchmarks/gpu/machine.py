"""What a figure is of: card, versions, source."""

import hashlib
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_ROOT = Path(__file__).parent.parent.parent
_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "triton", "bitsandbytes", "pyarrow", "av")


def describe(device: str) -> dict[str, Any]:
    """Everything that a result has to name."""
    return {
        "card": torch.cuda.get_device_name() if device.startswith("cuda") else f"none ({platform.machine()} processor)",
        "memory_gb": torch.cuda.get_device_properties(0).total_memory / 1e9 if device.startswith("cuda") else None,
        "cuda": torch.version.cuda,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "commit": commit(),
        "source": source(),
    }


def commit() -> str | None:
    """The commit of this tree, with ``+`` where it was changed since; None without git or its folder."""
    if shutil.which("git") is None:
        return None
    asked = [["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
    said = [subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False) for words in asked]
    if said[0].returncode:
        return None
    return said[0].stdout.strip() + ("+" if said[1].stdout.strip() else "")


def source() -> str:
    """SHA-256 over the packages' Python files: names the code where there is no commit to name."""
    digest = hashlib.sha256()
    for package in ("idol_prep", "idol_model", "idol_eval", "cli", "benchmarks"):
        for file in sorted((_ROOT / package).rglob("*.py")):
            digest.update(file.relative_to(_ROOT).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
