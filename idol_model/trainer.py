"""The training loop: steps, optimiser, checkpoints. It knows phases and names no model.

A step depends on the recipe, the weights and its own number: batch, noise and rate are functions of (seed, phase,
step), so a run that was killed continues as if it never was.
"""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from idol_model import checkpoint
from idol_model.checkpoint import Checkpoint, Position
from idol_model.objective import Losses
from idol_model.phases import Phase, moved
from idol_model.recipe import Decay, Recipe, Stage
from idol_model.run_state import Progress, Report, RunFolder


class TrainingStopped(ValueError):
    """A loss is not a number: nothing was changed by the step that the message names."""


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at every ``every`` steps, with the running mean as weights (`idol_model.preview`)."""

    every: int
    show: Callable[[Position, Stage], None]


class Trainer:
    """Runs phases over one model, saving to one run folder. `model` is what checkpoints hold."""

    def __init__(
        self, recipe: Recipe, model: nn.Module, run: RunFolder, accelerator: Accelerator, report: Report
    ) -> None:
        self.recipe, self.run, self.accelerator = recipe, run, accelerator
        self.model = model.to(accelerator.device)
        self._report = report
        self._saved = checkpoint.newest(run.checkpoints)
        self._restore_model()

    def done(self, index: int) -> bool:
        """Whether phase ``index`` lies wholly before the checkpoint that this run continues from."""
        return self._saved is not None and self._saved.position.stage_index > index

    def train(self, index: int, phase: Phase, look: Look | None = None) -> None:
        """Run phase number ``index`` to its end, from the beginning or from the checkpoint inside it.

        What ``look`` shows must leave weights and random state alone; each step seeds its own.
        """
        stage = phase.stage
        optimizer = _optimizer(phase)
        mean = RunningMean(phase, stage.ema)
        begin = self._restore_phase(index, phase, optimizer, mean)
        module, optimizer = self.accelerator.prepare(phase.module, optimizer)
        module.train()
        for step, batch in ahead(phase.batch, begin, stage.steps):
            started = time.perf_counter()
            self._set_rate(optimizer, stage, step)
            losses: Losses = module(moved(batch, self.accelerator.device), self._noise(index, step))
            self._check(losses, stage, step, batch)
            self.accelerator.backward(losses.total)
            self.accelerator.clip_grad_norm_([p for _, p in phase.parameters], stage.most_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            mean.update(step)
            position = Position(stage=stage.name, stage_index=index, step=step + 1)
            self._tell(position, stage, losses, time.perf_counter() - started)
            if (step + 1) % self.recipe.save_every == 0 or step + 1 == stage.steps:
                self._save(position, phase, optimizer, mean)
            if look is not None and (step + 1) % look.every == 0:
                with mean.shown():
                    look.show(position, stage)
        mean.put()
        phase.finish()
        self.accelerator.free_memory()

    # ---- what one step is a function of

    def _noise(self, index: int, step: int) -> torch.Generator:
        """The step's generator, on the CPU; torch's own generator is seeded too, for dropout."""
        words = np.random.SeedSequence([self.recipe.seed, 3, index, step]).generate_state(2, np.uint64)
        torch.manual_seed(int(words[0] >> np.uint64(1)))
        return torch.Generator().manual_seed(int(words[1] >> np.uint64(1)))

    def _set_rate(self, optimizer: Any, stage: Stage, step: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate(stage, step)

    # ---- what is said and kept

    def _check(self, losses: Losses, stage: Stage, step: int, batch: Any) -> None:
        if torch.isfinite(losses.total):
            return
        bad = [name for name, value in losses.parts.items() if not torch.isfinite(value)] or ["total"]
        ids = ", ".join(getattr(batch, "ids", ()))
        raise TrainingStopped(
            f"stage {stage.name}, step {step}: {', '.join(bad)} is not a number (clips: {ids or 'pictures'}); "
            "lower the rate, or train in fp32; the last checkpoint is whole"
        )

    def _tell(self, position: Position, stage: Stage, losses: Losses, seconds: float) -> None:
        done, lr = position.step, rate(stage, position.step - 1)
        terms = {"total": losses.total.item(), **{name: value.item() for name, value in losses.parts.items()}}
        self._report(Progress(stage=stage.name, done=done, total=stage.steps, terms=terms, lr=lr, seconds=seconds))
        if done % self.recipe.log_every == 0 or done == stage.steps:
            where = {"stage": stage.name, "stage_index": position.stage_index, "step": done}
            self.run.log({**where, **terms, "lr": lr, "seconds": round(seconds, 4)})

    def _save(self, position: Position, phase: Phase, optimizer: Any, mean: "RunningMean") -> None:
        groups = {"model": self.model.state_dict(), "optimizer": _optimizer_tensors(phase, optimizer)}
        if mean.tensors:
            groups["ema"] = mean.tensors
        scaler = self.accelerator.scaler
        checkpoint.save(self.run.checkpoints, position, groups, {"scaler": scaler.state_dict() if scaler else None})

    # ---- where it continues

    def _restore_model(self) -> None:
        if self._saved is not None:
            self.model.load_state_dict(self._saved.tensors("model"))
            self.run.rewind_log(*self._saved.position.order)
        else:
            self.run.rewind_log(-1, 0)

    def _restore_phase(self, index: int, phase: Phase, optimizer: Any, mean: "RunningMean") -> int:
        saved: Checkpoint | None = self._saved
        if saved is None or saved.position.stage_index != index:
            return 0
        _load_optimizer(phase, optimizer, saved.tensors("optimizer"))
        if mean.tensors:
            mean.load(saved.tensors("ema"))
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved.extra["scaler"])
        return saved.position.step


class RunningMean:
    """Exponential running mean of the trained weights; empty where the stage keeps none.

    The decay rises from 0.1 to its value over the first steps, so that the beginning is forgotten.
    """

    def __init__(self, phase: Phase, decay: float) -> None:
        self._decay = decay
        self._named = phase.parameters if decay else []
        self.tensors: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._named}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after step ``step``."""
        if self.tensors:
            weight = 1 - min(self._decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.tensors.values()), [p.detach() for _, p in self._named], weight)

    @torch.no_grad()
    def put(self) -> None:
        """Make the mean the weights: the result of the stage."""
        for name, parameter in self._named:
            parameter.copy_(self.tensors[name])

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the mean as weights for a while."""
        kept = [parameter.detach().clone() for _, parameter in self._named]
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for (_, parameter), value in zip(self._named, kept, strict=True):
                    parameter.copy_(value)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a checkpoint's mean."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])


def rate(stage: Stage, step: int) -> float:
    """Learning rate of a step: up in a line over the warm-up, then down to 0 in a line or half a cosine."""
    warm = max(1, round(stage.warmup * stage.steps))
    if step < warm:
        return stage.lr * (step + 1) / warm
    gone = (step - warm) / max(1, stage.steps - warm)
    return stage.lr * _DECAYS[stage.decay](gone)


_DECAYS: dict[Decay, Callable[[float], float]] = {
    "linear": lambda gone: 1 - gone,
    "cosine": lambda gone: 0.5 * (1 + math.cos(math.pi * gone)),
}
"""Share of the rate that is left, by the share of the steps that is gone."""


def ahead(batch: Any, begin: int, end: int) -> Iterator[tuple[int, Any]]:
    """``(step, batch(step))`` in order, the next batch being made while this one is used."""
    if begin >= end:
        return
    # A second team of threads beside the step's own would cost it a fifth of its time; one thread makes batches.
    one_thread = partial(torch.set_num_threads, 1)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches", initializer=one_thread) as pool:
        coming = pool.submit(batch, begin)
        for step in range(begin, end):
            ready = coming.result()
            if step + 1 < end:
                coming = pool.submit(batch, step + 1)
            yield step, ready


def _optimizer(phase: Phase) -> torch.optim.AdamW:
    stage = phase.stage
    parameters = [parameter for _, parameter in phase.parameters]
    return torch.optim.AdamW(parameters, lr=stage.lr, betas=stage.betas, weight_decay=stage.weight_decay, fused=True)


def _optimizer_tensors(phase: Phase, optimizer: Any) -> dict[str, Tensor]:
    """The optimiser's state by parameter name: ``<name>/exp_avg`` and so on."""
    state = optimizer.optimizer.state
    return {
        f"{name}/{key}": value
        for name, parameter in phase.parameters
        for key, value in state.get(parameter, {}).items()
    }


def _load_optimizer(phase: Phase, optimizer: torch.optim.AdamW, tensors: dict[str, Tensor]) -> None:
    named = dict(phase.parameters)
    for key, tensor in tensors.items():
        name, _, field = key.rpartition("/")
        optimizer.state[named[name]][field] = tensor.to(named[name].device)
