"""Batches of a stage: which samples a step has, read from their sources, with others in place of what is damaged."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from idol_model import data, pictures
from idol_model.data import DataShortage
from idol_model.feed.faults import Fault, FaultLog
from idol_model.feed.mixture import Mixture
from idol_model.feed.order import Key
from idol_model.feed.sources import Source
from idol_model.foreground import Foreground
from idol_model.inputs import ClipInputs
from idol_model.latents import LatentSample
from idol_model.recipe import DataConfig, Recipe, Stage
from idol_model.types import CachedBatch, ClipBatch
from idol_model.windows import Drawing, Window, WindowPlan
from idol_prep.schema import DataError

_MOST_ATTEMPTS = 100
"""Replacements of one sample before its source counts as unreadable altogether."""
_MOST_READERS = 16

Collate = Callable[[Sequence[Any], Sequence[bool]], Any]
"""Samples, and which of their foregrounds are left out, to a batch on the CPU."""


class Batches(Protocol):
    """What a phase needs of its data: the plan, and the batch of some of its windows."""

    @property
    def plan(self) -> WindowPlan: ...

    def batch(self, windows: Sequence[Window]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """The sources of a stage with their weights, and where their faults are noted."""

    sources: Sequence[Source]
    weights: Sequence[float]
    faults: FaultLog


class Feed:
    """A stage's batches. A sample is a function of the recipe, the data and its number, damaged items included.

    ``readers`` threads read the samples of a batch, `default_readers` where None; batches do not depend on it.
    """

    def __init__(
        self, origin: Origin, recipe: Recipe, stage: Stage, collate: Collate, readers: int | None = None
    ) -> None:
        self._origin, self._collate = origin, collate
        orders = [s.order(stage.frames, Key(recipe.seed, number)) for number, s in enumerate(origin.sources)]
        drawing = Drawing(orders, Mixture(origin.weights, recipe.seed))
        readers = default_readers() if readers is None else readers
        self._pool = ThreadPoolExecutor(readers, "samples", initializer=partial(torch.set_num_threads, 1))
        self.plan = WindowPlan(drawing, stage.frames, stage.batch_size, recipe.data, recipe.seed)

    def batch(self, windows: Sequence[Window]) -> Any:
        """The batch of these windows, which need not be all of a step.

        Raises:
            TooManyFaults: more items cannot be read than the recipe allows.
        """
        return self._collate(list(self._pool.map(self._sample, windows)), [w.foreground_left_out for w in windows])

    def _sample(self, window: Window) -> Any:
        source, attempt = self._origin.sources[window.source], 0
        while True:
            try:
                return source.sample(window)
            except (DataShortage, DataError, OSError) as error:
                if attempt == _MOST_ATTEMPTS:
                    raise
                instead = self.plan.instead(window, attempt)
                self._origin.faults.add(_fault(source, window, instead, error))
                window, attempt = instead, attempt + 1


def default_readers() -> int:
    """Threads that read samples: one for each core of this process's share of the machine, 16 at most.

    Processes of one machine share its cores; torchrun and accelerate say how many there are (``LOCAL_WORLD_SIZE``).
    """
    own = getattr(os, "sched_getaffinity", None)
    cores = len(own(0)) if own else os.cpu_count() or 1
    return max(1, min(_MOST_READERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def _fault(source: Source, window: Window, instead: Window, error: Exception) -> Fault:
    return Fault(
        source=source.name,
        item=source.label(window.clip),
        sample=window.number,
        reason=str(error),
        instead=source.label(instead.clip),
    )


class PictureCollate:
    """Pictures to a `ClipBatch`."""

    def __init__(self, config: DataConfig, look: pictures.ForegroundLook) -> None:
        self._config, self._look = config, look

    def __call__(self, samples: Sequence[ClipInputs], left_out: Sequence[bool]) -> ClipBatch:
        return data.clip_batch(samples, self._config, self._look, left_out)


class LatentCollate:
    """Latents to a `CachedBatch`; a foreground that is left out is that of an empty picture."""

    def __init__(self, encoder: Foreground) -> None:
        self._nothing = nothing_read(encoder)

    def __call__(self, samples: Sequence[LatentSample], left_out: Sequence[bool]) -> CachedBatch:
        read = [
            self._nothing if out else torch.from_numpy(s.foreground) for s, out in zip(samples, left_out, strict=True)
        ]
        return CachedBatch(
            ids=tuple(sample.id for sample in samples),
            z_SBLCHW=torch.from_numpy(np.stack([sample.z_SLCHW for sample in samples], axis=1)),
            background_BCHW=torch.from_numpy(np.stack([sample.background_CHW for sample in samples])),
            poses_BLHW3=torch.from_numpy(np.stack([sample.poses_LHW3 for sample in samples])),
            foreground=torch.stack(read),
        )


@torch.no_grad()
def nothing_read(encoder: Foreground) -> Tensor:
    """What the encoder's frozen part makes of an empty picture, on the CPU."""
    device = next(encoder.parameters()).device
    empty = torch.zeros(1, 3, encoder.input_size, encoder.input_size, device=device)
    return encoder.read(empty)[0].float().cpu()
