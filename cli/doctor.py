"""``idol doctor``: what is installed and ready here, and what to do about each gap."""

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli._output import Output

_PROJECT = "idol-video-depth"
_SHOWN_EXTRAS = ("prep", "decord", "tensorboard")
_ONLY_BOUNDS = ("numpy", "protobuf", "pyarrow")
"""Named by an extra only to bound their versions."""
_LOW_DISK_GIB = 2.0
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at. ``state``: ready, missing (something cannot be done), or note (works, worth knowing)."""

    topic: str
    name: str
    state: Literal["ready", "missing", "note"]
    found: str
    todo: str = ""


def register(app: typer.Typer) -> None:
    """Add ``idol doctor``."""
    app.command("doctor", help="Show what is ready here, and what to do about each gap.")(_doctor)


def _doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    out = Output.of(json=as_json)
    checks = examine()
    out.table("What is here", ["", "name", "state", "found"], [[c.topic, c.name, c.state, c.found] for c in checks])
    gaps = [check for check in checks if check.todo]
    for check in gaps:
        out.line(f"{check.topic} {check.name}: {check.todo}")
    if not gaps:
        out.line("Nothing is missing.")
    missing = sum(check.state == "missing" for check in checks)
    out.result({"checks": [asdict(check) for check in checks], "missing": missing})


def examine() -> list[Check]:
    """Every check, in the order of the table; nothing is loaded but torch and av."""
    probes: tuple[Callable[[], Iterable[Check]], ...] = (
        _python,
        _packages,
        _device,
        _codecs,
        _annotators,
        _weights,
        lambda: look_at_disk(Path.cwd()),
    )
    return [check for probe in probes for check in probe()]


def _python() -> Iterator[Check]:
    yield Check(topic="python", name="version", state="ready", found=sys.version.split()[0])


def _packages() -> Iterator[Check]:
    for requirement in metadata.requires(_PROJECT) or []:
        name, extra = _parsed(requirement)
        if extra is None or (extra in _SHOWN_EXTRAS and name not in _ONLY_BOUNDS):
            yield look_for_package(name, extra)


def _parsed(requirement: str) -> tuple[str, str | None]:
    """Name and extra of ``name>=1; extra == "x"``."""
    name = re.match(r"[\w.-]+", requirement)
    extra = re.search(r"extra == ['\"]([\w-]+)", requirement)
    return name.group() if name else requirement, extra.group(1) if extra else None


def look_for_package(name: str, extra: str | None) -> Check:
    """An installed package with its version, or how to get it; one of an extra is optional."""
    try:
        return Check(topic="package", name=name, state="ready", found=metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
    if extra is None:
        todo = f"pip install --upgrade {_PROJECT}"
        return Check(topic="package", name=name, state="missing", found="not installed", todo=todo)
    todo = f"optional: pip install '{_PROJECT}[{extra}]'"
    return Check(topic="package", name=name, state="note", found="not installed", todo=todo)


def _device() -> Iterator[Check]:
    import torch

    from idol_model.device import has_bf16

    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            numbers = "bf16" if has_bf16() else "no bf16, so fp32"
        found = f"{device.name}, {device.total_memory / _GIB:.0f} GiB, {numbers}"
        yield Check(topic="device", name=f"cuda:{index}", state="ready", found=found)
    if torch.backends.mps.is_available():
        todo = "taken with --device mps alone; compare a result with --device cpu first"
        yield Check(topic="device", name="mps", state="note", found="Apple GPU, never tried by this project", todo=todo)
    if not torch.cuda.is_available():
        built = "torch is built with CUDA" if torch.version.cuda else "torch is built without CUDA"
        yield Check(
            topic="device",
            name="cpu",
            state="note",
            found=f"no GPU visible ({built}), {torch.get_num_threads()} threads",
            todo="demo, prep, debug training and the shipped model run on the CPU; the paper's recipes need an "
            "NVIDIA GPU with its driver",
        )


def _codecs() -> Iterator[Check]:
    import av
    from av.codec import Codec

    for name, use in (("ffv1", "lossless tracks"), ("libx264", "previews"), ("h264", "reading videos")):
        try:
            Codec(name, "r" if name == "h264" else "w")
            yield Check(topic="codec", name=name, state="ready", found=f"{use} (PyAV {av.__version__})")
        except ValueError:
            todo = "pip install --force-reinstall av: its wheels carry every codec"
            yield Check(topic="codec", name=name, state="missing", found=f"not in this PyAV: {use}", todo=todo)


def _annotators() -> Iterator[Check]:
    from idol_prep import annotators

    for row in annotators.readiness():
        found = f"{row.info.version}, {row.info.licence}" + (", approximate" if row.info.approximate else "")
        yield Check(
            topic=row.info.kind,
            name=row.info.name,
            # what needs weights of its own is a choice; what comes whole should be there
            state="ready" if row.ready else "note" if row.info.source else "missing",
            found=found,
            todo=row.missing,
        )


def _weights() -> Iterator[Check]:
    from idol_model import checkpoint
    from idol_model.weights import sources

    yield _present("demo checkpoint", checkpoint.shipped, "shipped", state="missing")
    for name in sources.SOURCES:
        yield _present(name, partial(sources.require, name), "in the hub's cache", state="note")
    yield _extractors()


def _extractors() -> Check:
    """Extractor files have no home of their own: each benchmark names them."""
    from idol_eval.protocol import IDOL_8

    options = " ".join(f"--weights {family}=FILE" for family in IDOL_8.extractors)
    return Check(
        topic="weights",
        name=", ".join(IDOL_8.extractors.values()),
        state="note",
        found="not shipped; random unless named",
        todo=f"for numbers that compare with others': idol bench {options} (docs/weights_and_licences.md)",
    )


def _present(name: str, find: Callable[[], Path], where: str, *, state: Literal["missing", "note"]) -> Check:
    """Weights found by ``find``; its error says what to do where they are not here."""
    try:
        folder = find()
    except FileNotFoundError as error:
        return Check(topic="weights", name=name, state=state, found="not here", todo=str(error))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Check(topic="weights", name=name, state="ready", found=f"{where}, {size / 2**20:.0f} MiB")


def look_at_disk(folder: Path) -> Iterator[Check]:
    """How much is free where ``folder`` lies."""
    free = shutil.disk_usage(folder).free / _GIB
    low = free < _LOW_DISK_GIB
    yield Check(
        topic="disk",
        name="free here",
        state="note" if low else "ready",
        found=f"{free:.1f} GiB",
        todo=f"less than {_LOW_DISK_GIB:.0f} GiB: free some, or work on another disk" if low else "",
    )
