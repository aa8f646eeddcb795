"""``idol --help`` answers at once, and says what there is."""

import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "av", "diffusers", "transformers", "pyarrow", "scipy", "PIL", "mediapipe")

_LOADED = f"""
import sys
from typer.testing import CliRunner
from cli.main import build_app
for arguments in (["--help"], *[[name, "--help"] for name in ("prep", "train", "generate", "bench", "demo", "doctor")]):
    outcome = CliRunner().invoke(build_app(), arguments)
    assert outcome.exit_code == 0, (arguments, outcome.output)
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_help_of_every_command_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_help_takes_a_third_of_a_second() -> None:
    """Processor time, the best of a few. On a machine busy with other work the measure is typer alone."""
    typer_alone = min(processor_seconds("-c", "import typer.main, typer.rich_utils, rich.markdown") for _ in range(3))
    assert min(processor_seconds("-m", "cli", "--help") for _ in range(5)) < max(0.3, 3 * typer_alone)


def processor_seconds(*arguments: str) -> float:
    """What a Python started with ``arguments`` takes of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
