"""Several processes without the seconds that importing torch takes: forks of the test's own, joined by gloo."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState
from torch import distributed

from idol_model.processes import Together
from idol_model.recipe import Recipe
from idol_model.training import TrainOptions, train

Work = Callable[[Together], Any]


def forked(count: int, folder: Path, work: Work, timeout: float = 60.0) -> list[Any]:
    """What ``work`` returned in each process, by rank; the exception where it raised one.

    Their waits for each other end after ``timeout`` seconds.
    """
    context = multiprocessing.get_context("fork")
    answers: Any = context.SimpleQueue()
    children = [
        context.Process(target=_child, args=(rank, count, folder / "store", work, timeout, answers))
        for rank in range(count)
    ]
    for child in children:
        child.start()
    found = dict(answers.get() for _ in children)
    for child in children:
        child.join()
    return [found[rank] for rank in range(count)]


def train_forked(
    recipe: Recipe, data: Path, folder: Path, options: Callable[[int], TrainOptions], count: int = 2
) -> list[Any]:
    """One training in several processes; ``options`` of each rank. The model's folder, or what was raised, by rank."""
    folder.parent.mkdir(exist_ok=True)
    return forked(count, folder.parent, lambda group: train(recipe, data, folder, options(group.rank)))


def _child(rank: int, count: int, store: Path, work: Work, timeout: float, answers: Any) -> None:
    # As torchrun says it; what the parent's accelerate knows is of the parent.
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}  # asked for, and not used: the group is there
    AcceleratorState._reset_state(reset_partial_state=True)
    distributed.init_process_group("gloo", store=distributed.FileStore(str(store), count), rank=rank, world_size=count)
    try:
        answers.put((rank, work(Together(timeout))))
    except BaseException as error:
        answers.put((rank, error))
