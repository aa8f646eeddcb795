"""How long a training stands still for a checkpoint: written at once, and behind the steps.

    python benchmarks/checkpoints.py --recipe demo

Tensors are those of the recipe's last stage: weights, AdamW's moments, running mean. Writing behind, the training waits
for the copy in memory; the next checkpoint is due when the first is on the disk, so that nothing else is waited for.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from idol_model import checkpoint, recipes, selection
from idol_model.checkpoint import Position
from idol_model.checkpoint_writer import CheckpointWriter
from idol_model.model import IdolModel

_Groups = Mapping[str, Mapping[str, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; without it, where temporary files go")
    given = parser.parse_args()
    groups = _tensors(given.recipe)
    size = sum(tensor.nbytes for group in groups.values() for tensor in group.values())
    with tempfile.TemporaryDirectory(dir=given.folder) as home:
        at_once = _median(lambda step: checkpoint.save(Path(home), _at(step), groups), lambda: None, given.rounds)
        with CheckpointWriter(Path(home)) as writer:
            writer.save(_at(0), groups, {})  # makes room for the copies
            writer.finish()
            behind = _median(lambda step: writer.save(_at(step), groups, {}), writer.finish, given.rounds)
    sys.stdout.write(
        f"{given.recipe}: {size / 1e6:.1f} MB a checkpoint; the training stands still {at_once * 1e3:.1f} ms where it "
        f"is written at once, {behind * 1e3:.1f} ms where it is written behind (median of {given.rounds})\n"
    )


def _tensors(name: str) -> dict[str, dict[str, Tensor]]:
    recipe = recipes.get(name)
    model = IdolModel.from_recipe(recipe)
    trained = selection.select(model, [key for key, _ in model.trainable()], recipe.stages[-1])
    held = {key: parameter.detach() for key, parameter in model.named_parameters() if key in trained}
    moments = {f"{key}/{kind}": torch.zeros_like(value) for key, value in held.items() for kind in ("m", "v")}
    groups = {"model": model.state_dict(), "optimizer": moments}
    return groups | ({"ema": held} if recipe.stages[-1].ema else {})


def _at(step: int) -> Position:
    return Position(stage="video", stage_index=2, step=step)


def _median(save: Callable[[int], object], settle: Callable[[], None], rounds: int) -> float:
    """Seconds of a call of ``save``; ``settle`` is not counted."""
    seconds = []
    for step in range(rounds):
        began = time.perf_counter()
        save(step)
        seconds.append(time.perf_counter() - began)
        settle()
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
