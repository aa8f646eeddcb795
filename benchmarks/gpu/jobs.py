"""What the command starts beside its parts, each a process of its own."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.gpu.setting import Setting


def draw(setting: Setting, words: Sequence[str]) -> None:
    """Draw dancers as worker number ``words[0]``."""
    from benchmarks.gpu import drawing

    os.nice(19)
    drawing.draw(setting, int(words[0]))


def plans(setting: Setting, words: Sequence[str]) -> None:
    """Count the memory of stages."""
    from benchmarks.gpu import plans as counting

    del words
    os.nice(19)
    counting.count_all(setting)


def cache(setting: Setting, words: Sequence[str]) -> None:
    """Encode the clips in folders ``words[1:]`` as the run in ``words[0]`` wants them."""
    from idol_model.caching import CachePlan, make_caches
    from idol_model.feed.training_data import DataPart
    from idol_model.recipe import Recipe

    run = Path(words[0])
    recipe = Recipe.from_dict(json.loads(run.with_suffix(".recipe.json").read_text(encoding="utf-8")))
    plan = CachePlan(run=run, latents=setting.work / "latents", device=setting.device)
    make_caches(recipe, [DataPart(Path(folder)) for folder in words[1:]], plan)


def finish(setting: Setting, words: Sequence[str]) -> None:
    """Make the newest checkpoint a model and pack it."""
    from functools import partial

    from benchmarks.gpu import train
    from benchmarks.gpu.figures import Figure, make_all
    from benchmarks.gpu.ledger import Ledger

    del words
    ledger = Ledger(setting.work / "train.json")
    ledger.forget("model")
    make_all([Figure("model", partial(train.finished_model, setting), 0)], ledger, setting)


def machine(setting: Setting, words: Sequence[str]) -> None:
    """Say what the figures are of, in ``machine.json``."""
    from benchmarks.gpu import machine as described
    from benchmarks.gpu.ledger import write_json

    del words
    write_json(setting.work / "machine.json", described.describe(setting.device))


def idol(setting: Setting, words: Sequence[str]) -> None:
    """``idol`` with the words as they are."""
    from cli.main import main

    del setting
    sys.argv = ["idol", *words]
    main()


JOBS: dict[str, Callable[[Setting, Sequence[str]], None]] = {
    "draw": draw,
    "plans": plans,
    "cache": cache,
    "finish": finish,
    "machine": machine,
    "idol": idol,
}
