"""Nothing but ours reaches the terminal: a package that is loud when imported, beside real commands."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOUD = """
import logging, sys, warnings

print("a banner on stdout")
sys.stderr.writelines(["a banner on stderr\\n"])
logging.getLogger("loud").warning("Failed to load CPU kernel: please pip install kernels")  # by logging's last resort
own = logging.getLogger("loud.own")
own.addHandler(logging.StreamHandler())  # as transformers and diffusers do
own.propagate = False
own.error("library not found")
warnings.warn("a UserWarning of another package")
warnings.warn("a deprecation", FutureWarning)
"""
BESIDE = """
import os, sys

class Beside:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["LOUD_WITH"]:
            import loud

sys.meta_path.insert(0, Beside())
"""


@pytest.fixture
def idol(tmp_path):
    """Run ``idol`` in a process where the module ``beside`` brings the loud package with it."""
    (tmp_path / "loud.py").write_text(LOUD)
    (tmp_path / "sitecustomize.py").write_text(BESIDE)

    def run(*arguments: str, beside: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "LOUD_WITH": beside, **environment}
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | own, check=True)

    return run


def test_a_loud_package_leaves_json_and_stderr_clean(idol):
    done = idol("bench", "protocols", "--json", beside="idol_eval.protocol")
    assert json.loads(done.stdout)["protocols"]
    assert done.stderr == ""


def test_a_loud_package_stays_out_of_a_table(idol):
    done = idol("bench", "metrics", beside="rich.table")
    assert done.stdout.split()[0] == "Metrics"
    assert done.stderr == ""
    assert "banner" not in done.stdout


def test_whoever_asks_is_told(idol):
    done = idol("bench", "protocols", "--json", beside="idol_eval.protocol", IDOL_DEBUG="1")
    assert done.stdout.startswith("a banner on stdout")
    for line in ("a banner on stderr", "Failed to load CPU kernel", "library not found"):
        assert line in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="what diffusers imports where it is installed")
def test_the_doctor_speaks_alone(idol):
    done = idol("doctor", beside="bitsandbytes")
    assert done.stderr == ""
    assert "Failed to load" not in done.stdout
