"""Dancers to train on, drawn by every processor beside the parts before: each worker fills a data set of its own."""

import json
from pathlib import Path

from benchmarks.gpu.setting import Setting
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic

_SEED = 5000
"""Of the first worker; the others follow. No recipe of the package and no held-out set uses these."""
_MOST = 110
"""Clips of one worker: with more, encoding them before the training would take longer than they are worth."""
_TOY = {"size": (32, 32), "frames": 10}


class _Enough(Exception):
    """Somebody wants to train."""


def held_out(setting: Setting) -> Path:
    """Where the clips lie that scores are of."""
    return setting.work / "held_out"


def draw(setting: Setting, worker: int) -> None:
    """Draw until told to stop; worker 0 draws the held-out clips first. Data that was trained on stays as it is."""
    if worker == 0 and not (held_out(setting) / "dataset.json").is_file():
        _held_out(setting)
    if _frozen(setting).exists():
        return
    root, sizes = _root(setting, worker), _TOY if setting.rehearse else {}
    most, done = 4 if setting.rehearse else _MOST, 0

    def told(at: synthetic.Progress) -> None:
        nonlocal done
        done = at.done
        if _stop(setting).exists():
            raise _Enough

    try:
        synthetic.generate(root, most, _SEED + worker, progress=told, **sizes)
    except _Enough:
        synthetic.generate(root, done, _SEED + worker, **sizes)


def stop(setting: Setting) -> None:
    """Tell every worker to end with the clip it is at."""
    setting.work.mkdir(parents=True, exist_ok=True)
    _stop(setting).touch()


def begin(setting: Setting) -> None:
    """Let workers draw."""
    _stop(setting).unlink(missing_ok=True)


def drawn(setting: Setting) -> dict[str, int]:
    """Folders that are finished, with their clips."""
    found = {}
    for file in sorted((setting.work / "data").glob("part-*/dataset.json")):
        counts = json.loads(file.read_text()).get("counts")
        if counts:
            found[str(file.parent)] = counts["splits"].get("train", 0)
    return {folder: clips for folder, clips in found.items() if clips}


def freeze(setting: Setting) -> None:
    """A run is trained on what is there: from now on nothing is added."""
    _frozen(setting).touch()


def _held_out(setting: Setting) -> Dataset:
    if setting.rehearse:
        return synthetic.generate(held_out(setting), 2, synthetic.HELD_OUT_SEED, split="test", **_TOY)
    return synthetic.held_out(held_out(setting))


def _root(setting: Setting, worker: int) -> Path:
    return setting.work / "data" / f"part-{worker:02d}"


def _stop(setting: Setting) -> Path:
    return setting.work / "stop-drawing"


def _frozen(setting: Setting) -> Path:
    return setting.work / "data-is-trained-on"
