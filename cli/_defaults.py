"""Where things come from and go to when a command does not say: chosen here, announced before work starts.

=====================  =============================================================
``idol prep SOURCE``   writes ``data/SOURCE``
``idol train``         reads the prepared data under ``data``, writes ``runs/RECIPE``
``idol generate``      takes the shipped checkpoint, writes ``out/POSES``
``idol bench``         takes the shipped checkpoint, writes ``out/bench/CHECKPOINT``
``idol demo``          writes ``out/demo``
=====================  =============================================================
"""

from dataclasses import dataclass
from pathlib import Path

from cli._output import Output

DATA, RUNS, OUT = Path("data"), Path("runs"), Path("out")
_DATASET_FILE = "dataset.json"
_PREFERRED = "tiktok"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A path and why it is this one; ``reason`` is empty where the user named it."""

    path: Path
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})" if self.reason else str(self.path)


def prepared(source: str, named: Path | None = None) -> Chosen:
    """Where ``idol prep SOURCE`` writes."""
    return _named_or(named, DATA / source)


def data(named: Path | None = None, under: Path = DATA) -> Chosen:
    """The prepared dataset to read: the named one, or the one found in ``under``.

    Raises FileNotFoundError where there is none, ValueError where there are several and none is ``tiktok``.
    """
    if named is not None:
        return Chosen(named)
    if (under / _DATASET_FILE).is_file():
        return Chosen(under, "default")
    found = sorted(path.parent for path in under.glob(f"*/{_DATASET_FILE}"))
    if not found:
        raise FileNotFoundError(
            f"no prepared data under ./{under}: run `idol prep tiktok RAW` (or, without data of your own, "
            "`idol prep synthetic`), or name a prepared dataset with --data"
        )
    if len(found) == 1:
        return Chosen(found[0], f"the only dataset under ./{under}")
    if under / _PREFERRED in found:
        return Chosen(under / _PREFERRED, f"default among {len(found)} datasets under ./{under}")
    names = ", ".join(str(path) for path in found)
    raise ValueError(f"several prepared datasets under ./{under} ({names}): choose one with --data")


def run_folder(recipe: str, named: Path | None = None) -> Chosen:
    """Where ``idol train RECIPE`` keeps its run."""
    return _named_or(named, RUNS / recipe)


def sample_folder(poses: Path, named: Path | None = None) -> Chosen:
    """Where ``idol generate`` writes: named after the poses, so that another dance gets another folder."""
    return _named_or(named, OUT / (poses.resolve().stem or "sample"))


def bench_folder(checkpoint: Path, named: Path | None = None) -> Chosen:
    """Where ``idol bench`` writes samples and scores of a checkpoint."""
    return _named_or(named, OUT / "bench" / (checkpoint.resolve().name or "checkpoint"))


def demo_folder(named: Path | None = None) -> Chosen:
    """Where ``idol demo`` works."""
    return _named_or(named, OUT / "demo")


def checkpoint(named: str | Path | None = None) -> Chosen:
    """The checkpoint to load: the named folder or hub id, or the shipped demo."""
    if named is not None:
        return Chosen(Path(named))
    from idol_model.checkpoint import shipped

    return Chosen(shipped(), "shipped demo checkpoint, trained on synthetic dancers")


def announce(out: Output, **choices: Chosen | Path | str) -> None:
    """One note a choice, aligned: ``announce(out, data=..., checkpoint=..., output=...)``."""
    width = max((len(name) for name in choices), default=0)
    for name, value in choices.items():
        out.note(f"{name:<{width}}  {value}")


def _named_or(named: Path | None, default: Path) -> Chosen:
    return Chosen(named) if named is not None else Chosen(default, "default")
