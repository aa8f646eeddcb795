"""The pieces of a stage's steps, one after another, their batches made ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes through the networks at once: the samples of a step at ``places``."""

    step: int
    places: range
    last: bool
    """Whether the step is complete with it."""


def pieces(steps: range, places: list[range]) -> Iterator[Piece]:
    """Each step in pieces of its samples at ``places``."""
    for step in steps:
        for own in places:
            yield Piece(step, own, own is places[-1])


def ahead(batch: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """``(item, batch(item))`` in order, the next batch being made while this one is used."""
    # A second team of threads beside the step's own would cost it a fifth of its time; one thread makes batches.
    one_thread = partial(torch.set_num_threads, 1)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches", initializer=one_thread) as pool:
        coming: list[tuple[Any, Any]] = []
        for item in items:
            coming.append((item, pool.submit(batch, item)))
            if len(coming) == 2:
                ready, future = coming.pop(0)
                yield ready, future.result()
        for ready, future in coming:
            yield ready, future.result()
