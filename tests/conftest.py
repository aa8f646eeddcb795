"""One thread, no network, the same random numbers for every test."""

import gc
import os
import random
import signal
import sys
from collections.abc import Iterator

# Before torch, numpy and the hub are first imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("IDOL_TEST_GPU", "")
os.environ.pop("IDOL_DEBUG", None)
# A shell's background jobs start with Ctrl-C ignored, and would hand that on to the commands tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Importing makes millions of objects that live as long as the session: not looked through until all are there.
gc.disable()

import pytest  # noqa: E402 - after the environment is set


def pytest_collection_finish() -> None:
    """Set aside what imports have made. A collection took 0.6 s, and each stage of a training ends with one."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """As Python left them, for those that count their objects at the end."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed what a test may draw from without a generator of its own; torch and numpy only where they are loaded."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def unchanged_surroundings() -> Iterator[None]:
    """A test leaves the working folder and the environment as they were."""
    folder, environment = os.getcwd(), dict(os.environ)
    yield
    os.chdir(folder)
    for name in set(os.environ) - set(environment) - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update(environment)
