"""Every module imports alone, and imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("idol_prep", "idol_model", "idol_eval", "cli")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Top-level names of everything that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def offenders(package: str, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in FILES
        if file.relative_to(ROOT).parts[0] == package
        for name in imported(file)
        if any(name == taboo or name.startswith(f"{taboo}.") for taboo in forbidden)
    ]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("idol_prep", ("idol_model", "idol_eval", "cli", "typer", "rich")),
        ("idol_model", ("idol_eval", "cli", "typer", "rich")),
        ("idol_eval", ("idol_model", "cli", "typer", "rich")),
        ("cli", ("click",)),
    ],
)
def test_imports_point_one_way(package: str, forbidden: tuple[str, ...]) -> None:
    assert offenders(package, forbidden) == []


def test_in_prep_only_annotators_know_torch() -> None:
    """Their networks run on it; everything else of preparation starts without."""
    using = [line for line in offenders("idol_prep", ("torch",)) if not line.startswith("idol_prep/annotators/")]
    assert using == []


@pytest.mark.parametrize("package", ["idol_model", "idol_eval"])
def test_only_the_contract_of_prep_is_used(package: str) -> None:
    allowed = ("idol_prep.schema", "idol_prep.colormap", "idol_prep.pose")
    used = {name for file in FILES if file.is_relative_to(ROOT / package) for name in imported(file)}
    ours = {name for name in used if name.partition(".")[0] == "idol_prep"}
    assert {name for name in ours if not name.startswith(allowed)} <= {"idol_prep", "idol_prep.video"}


def test_only_the_output_module_prints() -> None:
    printing = [
        str(file.relative_to(ROOT))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert set(printing) <= {"cli/_output.py"}


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_alone_and_in_silence(package: str) -> None:
    command = [sys.executable, "-c", f"import {package}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
