"""Where things come from and go to when a command does not say: chosen here, announced before work starts.

=====================  ===================================================================
``idol prep SOURCE``   writes ``data/SOURCE``
``idol train``         reads the prepared data under ``data``, writes ``runs/RECIPE``
... ``finetune``       takes the shipped checkpoint, writes ``runs/finetune-DATA``
``idol generate``      takes the shipped checkpoint, writes ``out/POSES``
``idol bench``         takes the shipped checkpoint, writes ``out/bench/RUN``
``idol inspect``       takes the shipped checkpoint, writes ``out/inspect/RUN/CLIP``
``idol demo``          writes ``out/demo``
=====================  ===================================================================

A name is taken from what tells one thing from another: ``runs/X/model`` is called X, ``dance/poses`` is called dance.
"""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from cli._output import Output

DATA, RUNS, OUT = Path("data"), Path("runs"), Path("out")
_DATASET_FILE = "dataset.json"
_PREFERRED = "tiktok"
_MODEL, _RUN_FILE = "model", "run.json"
"""What `idol train` calls the finished model in a run folder, and a file that only run folders have."""
_POSE_NAMES = ("poses", "pose", "openpose", "dwpose", "keypoints", "frames")
"""Names that every dance's poses have."""


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
    """Where ``idol generate`` writes: named after the poses, so that another dance gets another folder.

    Of ``dance/poses`` the dance gives the name; ``poses`` alone keeps its own.
    """
    whole = poses.resolve()
    says_nothing = whole.stem in _POSE_NAMES and len(poses.parts) > 1
    return _named_or(named, OUT / ((whole.parent.name if says_nothing else whole.stem) or "sample"))


def bench_folder(checkpoint: Path, named: Path | None = None) -> Chosen:
    """Where ``idol bench`` writes samples and scores of a checkpoint: named after its run.

    Where a default folder holds samples of another checkpoint of that name, the next free number is added.
    """
    if named is not None:
        return Chosen(named)
    base = OUT / "bench" / checkpoint_name(checkpoint)
    numbered = (base.with_name(f"{base.name}-{number}") for number in itertools.count(2))
    folder = next(one for one in itertools.chain([base], numbered) if _free_for(checkpoint, one))
    other = "" if folder == base else f", {base} holds samples of {_checkpoint_of_samples(base)}"
    return Chosen(folder, f"default{other}")


def inspect_folder(checkpoint: Path, clip: str, named: Path | None = None) -> Chosen:
    """Where ``idol inspect`` writes: named after run and clip."""
    return _named_or(named, OUT / "inspect" / checkpoint_name(checkpoint) / clip)


def checkpoint_name(checkpoint: Path) -> str:
    """What to call a checkpoint: ``runs/X/model`` is X, any other of that run ``X-NAME``, a hub id ``OWNER--NAME``."""
    if not checkpoint.exists() and len(checkpoint.parts) == 2:
        return "--".join(checkpoint.parts)
    whole = checkpoint.resolve()
    if whole.name == _MODEL:
        return whole.parent.name or _MODEL
    if (whole.parent / _RUN_FILE).is_file():
        return f"{whole.parent.name}-{whole.name}"
    return whole.name or "checkpoint"


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


def _checkpoint_of_samples(folder: Path) -> str | None:
    """The checkpoint, as it was named, whose samples lie in a folder of `idol bench`; None where there are none."""
    for record in folder.glob("samples-*/*/sample.json"):
        try:
            return str(json.loads(record.read_text(encoding="utf-8"))["checkpoint"]["path"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # `idol bench` says what is wrong with it where it uses it
    return None


def _free_for(checkpoint: Path, folder: Path) -> bool:
    owner = _checkpoint_of_samples(folder)
    return owner is None or Path(owner).resolve() == checkpoint.resolve()


def _named_or(named: Path | None, default: Path) -> Chosen:
    return Chosen(named) if named is not None else Chosen(default, "default")
