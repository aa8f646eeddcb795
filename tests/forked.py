"""Several processes without the seconds that importing torch takes: forks of the test's own, joined by gloo."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import distributed

from idol_model.processes import Together

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


def _child(rank: int, count: int, store: Path, work: Work, timeout: float, answers: Any) -> None:
    distributed.init_process_group("gloo", store=distributed.FileStore(str(store), count), rank=rank, world_size=count)
    try:
        answers.put((rank, work(Together(timeout))))
    except BaseException as error:
        answers.put((rank, error))
