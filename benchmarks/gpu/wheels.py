"""What a bare CUDA machine lacks, as wheels: fetched where there is a network, installed where there is none.

A bare machine is taken to have Python 3.12, torch, numpy, transformers, accelerate, safetensors, scipy and typer.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

MODULES = {
    "diffusers": "diffusers",
    "av": "av",
    "PIL": "pillow",
    "requests": "requests",
    "urllib3": "urllib3",
    "charset_normalizer": "charset_normalizer",
    "importlib_metadata": "importlib_metadata",
    "zipp": "zipp",
    "rich": "rich",
    "peft": "peft",
    "filelock": "filelock",
}
"""Modules that something on the command's path imports, or a package on it asks for; and their packages."""
_TRAVELS = [name for name in MODULES.values() if name != "filelock"]  # comes with torch
_NEEDED = {"diffusers", "av", "PIL", "requests", "filelock"}
MOST = 48_000_000
"""Bytes of all wheels together."""
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_VERSIONS = Path(__file__).parent.parent.parent / "constraints.txt"


def fetch(folder: Path, there_already: Collection[str] = ()) -> dict[str, int]:
    """Put wheels for CPython 3.12 on x86-64 Linux into ``folder``; names and bytes, all of them packed tighter.

    Raises:
        ValueError: they are more than `MOST` together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as loose:
        _download([name for name in _TRAVELS if name not in there_already], Path(loose))
        for wheel in sorted(Path(loose).glob("*.whl")):
            repack(wheel, folder / wheel.name)
    sizes = {wheel.name: wheel.stat().st_size for wheel in sorted(folder.glob("*.whl"))}
    check(sizes)
    return sizes


def check(sizes: Mapping[str, int]) -> None:
    """Raises ValueError where the wheels are too large together."""
    total = sum(sizes.values())
    if total > MOST:
        raise ValueError(f"the wheels take {total / 1e6:.1f} MB, more than {MOST / 1e6:.0f}; leave some out with --has")


def _download(names: list[str], folder: Path) -> None:
    tags = ["--python-version", "3.12", "--implementation", "cp", "--only-binary=:all:"]
    tags += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *tags, "-d", str(folder)]
    subprocess.run([*command, *names], check=True)


def repack(wheel: Path, target: Path) -> None:
    """The same wheel under LZMA, which pip reads like any other: PyAV's libraries shrink by a quarter."""
    temporary = target.with_name(f".{target.name}")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(temporary, "w", zipfile.ZIP_LZMA) as new:
        for item in old.infolist():
            new.writestr(item, old.read(item), compress_type=zipfile.ZIP_LZMA)
    shutil.move(temporary, target)


def missing() -> list[str]:
    """Modules that this Python does not have."""
    return [module for module in MODULES if find_spec(module) is None]


def install(folder: Path, target: Path) -> list[str]:
    """Install what is missing from the wheels in ``folder`` into ``target``, without a network; what was put there.

    Raises:
        ValueError: something without which nothing works has no wheel.
    """
    wanted = {MODULES[module]: module for module in missing()}
    found = {wheel.name.split("-")[0].lower(): wheel for wheel in sorted(folder.glob("*.whl"))}
    absent = [name for name, module in wanted.items() if module in _NEEDED and name not in found]
    if absent:
        raise ValueError(
            f"{', '.join(absent)}: not installed, and no wheel in {folder}; on a machine with a network run "
            f"python -m benchmarks.gpu --wheels {folder.name}, then bring that folder along"
        )
    wheels = [str(found[name]) for name in wanted if name in found]
    if wheels:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([*command, "--no-cache-dir", "--upgrade", "--target", str(target), *wheels], check=True)
    return [Path(wheel).name for wheel in wheels]
