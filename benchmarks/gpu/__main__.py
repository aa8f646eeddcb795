"""``python -m benchmarks.gpu --minutes 9 --out DIR``: everything that needs a GPU, as one command (``docs/gpu.md``)."""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from benchmarks.gpu import budget, wheels
from benchmarks.gpu.setting import Setting

_ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    """Say what is wrong in one line; nothing else ends the command early."""
    given = _parser().parse_args()
    try:
        return _wheels(given) if given.wheels else _child(given) if given.part or given.job else _whole(given)
    except (ValueError, OSError) as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="all the time there is [9]")
    parser.add_argument("--out", type=Path, help="folder of summary.json, summary.md and model-N.tar")
    parser.add_argument("--work", type=Path, help="folder of everything else [OUT/work]")
    parser.add_argument("--parts", default=",".join(budget.PARTS), help="some of the parts, by name")
    parser.add_argument("--recipes", default="", help="of part correct; without it, all")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu in a rehearsal")
    parser.add_argument("--rehearse", action="store_true", help="all parts at toy size on the CPU")
    parser.add_argument("--wheels", type=Path, help="only fetch wheels for a bare machine into this folder")
    parser.add_argument("--has", default="", help="with --wheels: packages that machine has, left out")
    for hidden in ("--part", "--job", "--until"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    return parser


def _wheels(given: argparse.Namespace) -> int:
    sizes = wheels.fetch(given.wheels, [name for name in given.has.split(",") if name])
    for name, size in sizes.items():
        print(f"{size / 1e6:8.2f} MB  {name}")
    print(f"{sum(sizes.values()) / 1e6:8.2f} MB  in {given.wheels}, of at most {wheels.MOST / 1e6:.0f}")
    return 0


def _setting(given: argparse.Namespace, until: float) -> Setting:
    if given.out is None:
        raise ValueError("--out: name the folder for the results")
    out = given.out.resolve()
    return Setting(
        out=out,
        work=(given.work or out / "work").resolve(),
        device="cpu" if given.rehearse else given.device,
        until=until,
        rehearse=given.rehearse,
        recipes=tuple(name for name in given.recipes.split(",") if name),
    )


def _whole(given: argparse.Namespace) -> int:
    clock = budget.Budget(began=time.time(), minutes=given.minutes, stretched=given.rehearse)
    parts, setting = budget.chosen(given.parts), _setting(given, clock.until)
    _complete(setting)
    if not given.rehearse:
        _check_device(setting)
    from benchmarks.gpu import orchestrate

    found = orchestrate.run(setting, parts, clock, shlex.join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]]))
    statuses = [figure["status"] for figures in found["parts"].values() for figure in figures.values()]
    print(f"{statuses.count('done')} of {len(statuses)} figures; read {setting.out / 'summary.md'}")
    return 0


def _complete(setting: Setting) -> None:
    """Install what is missing from the wheels that came along, for this process's children."""
    site = setting.work / "site"
    folder = _ROOT / "wheels"
    if (site / "diffusers").is_dir():
        sys.path.insert(0, str(site))
    installed = wheels.install(folder, site)
    if installed:
        print(f"installed from {folder}: {', '.join(installed)}", flush=True)
    known = [str(_ROOT), *([str(site)] if site.is_dir() else []), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in known if path)


def _check_device(setting: Setting) -> None:
    import torch

    if setting.on_gpu and not torch.cuda.is_available():
        raise ValueError("no GPU is visible to torch; --rehearse runs all parts at toy size on the CPU")


def _child(given: argparse.Namespace) -> int:
    setting = _setting(given, float(given.until or time.time() + 600)) if given.out else None
    from benchmarks.gpu import manifest

    manifest.stand_in()
    if given.job:
        from benchmarks.gpu import jobs

        jobs.JOBS[given.job](setting, given.words)  # type: ignore[arg-type]
        return 0
    from importlib import import_module

    from benchmarks.gpu import figures
    from benchmarks.gpu.ledger import Ledger

    assert setting is not None
    part = import_module(f"benchmarks.gpu.{given.part}")
    return figures.make_all(part.figures(setting), Ledger(setting.work / f"{given.part}.json"), setting)


if __name__ == "__main__":
    sys.exit(main())
