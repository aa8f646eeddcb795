"""The training loop: steps, optimiser, checkpoints. It knows phases and engines and names no model.

A step depends on the recipe, the weights and its own number: batch, noise and rate are functions of (seed, phase,
step), so a run that was killed continues as if it never was.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from idol_model import checkpoint
from idol_model.chance import Chance, word
from idol_model.checkpoint import Checkpoint, Position
from idol_model.checkpoint_writer import CheckpointWriter
from idol_model.engines import Engine
from idol_model.engines.descent import NotFinite
from idol_model.gradient_shares import shares
from idol_model.phases import Phase
from idol_model.pieces import Piece, ahead, pieces
from idol_model.rates import rate
from idol_model.recipe import Recipe, Stage
from idol_model.run_state import RunFolder
from idol_model.running_mean import RunningMean
from idol_model.stopping import Stopping
from idol_model.telling import Sheet, Telling
from idol_model.transfer import moved, staged


class TrainingStopped(ValueError):
    """A loss or its gradient is not a number: nothing was changed by the step that the message names."""


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at every ``every`` steps, with the running mean as weights (`idol_model.preview`)."""

    every: int
    show: Callable[[Position, Stage], Sheet | None]


class Trainer:
    """Runs phases over one model, saving to one run folder. `model` is what checkpoints hold.

    As a context it ends when the last checkpoint is on the disk.
    """

    def __init__(self, recipe: Recipe, model: nn.Module, run: RunFolder, engine: Engine, telling: Telling) -> None:
        self.recipe, self.run, self.engine = recipe, run, engine
        self.model = model.to(engine.device)
        self.stopping = Stopping(telling.say)
        self._telling, self._writer = telling, CheckpointWriter(run.checkpoints)
        with engine.main_first("the newest checkpoint is found"):
            self._saved = checkpoint.newest(run.checkpoints)
        self._restore_model()

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.stopping.at_once:
            self._writer.__exit__(kind, error, trace)

    def done(self, index: int) -> bool:
        """Whether phase ``index`` lies wholly before the checkpoint that this run continues from."""
        return self._saved is not None and self._saved.position.stage_index > index

    def at_end(self, index: int) -> bool:
        """Whether that checkpoint holds the last step of phase ``index``, whose result is still to be put in place."""
        return (
            self._saved is not None
            and self._saved.position.stage_index == index
            and self._saved.extra.get("ended", False)
        )

    def train(self, index: int, phase: Phase, look: Look | None = None) -> None:
        """Run phase number ``index`` to its end, from the beginning or from the checkpoint inside it.

        What ``look`` shows must leave weights and random state alone; each step seeds its own.

        Raises:
            TrainingInterrupted: a signal came, to this process or another, and the step made then is saved.
            OSError: a checkpoint could not be written.
        """
        stage, loop = phase.stage, _Loop(self, index, phase)
        coming = pieces(range(loop.begin, stage.steps), self.engine.division.pieces(stage.batch_size, stage.name))
        self._telling.begin(stage.name, loop.begin)
        device = self.engine.device
        with self.stopping.deferred():
            started = time.perf_counter()
            for piece, batch in ahead(lambda piece: staged(phase.batch(piece.step, piece.places), device), coming):
                phase.shares.watching = self._telling.logged(piece.step + 1, stage)
                with self.engine.group.watched(f"stage {stage.name}, step {piece.step}"):
                    loop.add(piece, moved(batch, device))
                    if not piece.last:
                        continue
                    loop.move(piece.step, stopping=self.stopping.asked)
                    position = Position(stage=stage.name, stage_index=index, step=piece.step + 1)
                    seconds = time.perf_counter() - started
                    self._telling.step(position, stage, loop.terms, seconds, self.engine.most_memory)
                    self._saved_if_due(position, loop)
                    if look is not None and position.step % look.every == 0:
                        self._look(look, position, loop)
                started = time.perf_counter()
            loop.mean.put()
            phase.finish()
            loop.descent.close()

    def stops(self) -> bool:
        """Whether a signal came to any process. Collective."""
        return any(self.engine.group.all_of([self.stopping.asked]))

    def _saved_if_due(self, position: Position, loop: "_Loop") -> None:
        """Save where the recipe wants it, and where the run stops.

        Raises:
            TrainingInterrupted: it stops; its checkpoint is on the disk.
        """
        self._writer.check()
        if loop.stops or position.step % self.recipe.save_every == 0 or position.step == loop.stage.steps:
            self._save(position, loop)
        if loop.stops:
            self._writer.finish()
            self.engine.group.wait("the last checkpoint is written")
            raise self.stopping.interrupted(
                f"stopped after step {position.step} of {loop.stage.steps} of stage {position.stage}; saved in "
                f"{self.run.checkpoints / position.folder}, the same command continues from there"
            )

    def _look(self, look: Look, position: Position, loop: "_Loop") -> None:
        with loop.mean.shown():
            sheet = look.show(position, loop.stage)
        if sheet is not None:
            self._telling.shown(position, sheet)

    def _save(self, position: Position, loop: "_Loop") -> None:
        groups = {"model": self.engine.whole(self.model.state_dict()), "optimizer": loop.descent.state()}
        if loop.mean.tensors:
            groups["ema"] = self.engine.whole(loop.mean.tensors)
        if self.engine.main:
            scaler = loop.descent.scaler
            extra = {
                "scaler": scaler.state_dict() if scaler else None,
                "ended": position.step == loop.stage.steps,
            }
            self._writer.save(position, groups, extra)

    # ---- where it continues

    def _restore_model(self) -> None:
        if self._saved is not None:
            self.model.load_state_dict(self._saved.tensors("model"))
            self.run.rewind_log(*self._saved.position.order)
        else:
            self.run.rewind_log(-1, 0)

    def restore_phase(self, index: int, loop: "_Loop") -> int:
        """Bring optimiser and mean to where the checkpoint stands, if it lies in this phase; the step it is at."""
        saved: Checkpoint | None = self._saved
        if saved is None or saved.position.stage_index != index:
            return 0
        loop.descent.load(saved.tensors("optimizer"))
        if loop.mean.tensors:
            loop.mean.load(saved.tensors("ema"), self.engine.placed)
        if loop.descent.scaler is not None:
            loop.descent.scaler.load_state_dict(saved.extra["scaler"])
        return saved.position.step


_STOPPING = "stopping"


class _Loop:
    """One phase under way: its descent, its running mean, the losses of the step being made and, where it is logged,
    the terms' shares of its gradient."""

    def __init__(self, trainer: Trainer, index: int, phase: Phase) -> None:
        self._engine, self._recipe, self._index = trainer.engine, trainer.recipe, index
        self.stage = phase.stage
        module = self._engine.wrapped(phase.module, phase.units)
        self.descent = self._engine.descent(module, phase.parameters, self.stage)
        self.mean = RunningMean(phase.parameters, self.stage.ema)
        self.begin = trainer.restore_phase(index, self)
        self.terms: dict[str, float] = {}
        self._shares = phase.shares
        self._sums: dict[str, Tensor] = {}
        self._parts: list[tuple[Tensor, Any]] = []
        self.stops = False
        """Whether a process was asked to stop when the last step was made."""

    def add(self, piece: Piece, batch: Any) -> None:
        """Add the gradient of some of a step's samples."""
        share = len(piece.places) * self._engine.division.processes / self.stage.batch_size
        losses = self.descent.add(batch, self._chance(piece), share, last=piece.last)
        for name, value in {"total": losses.total.detach(), **losses.parts}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * share
        # Not read here: the device would be waited for in every piece.
        self._parts.append((losses.total.detach(), getattr(batch, "ids", ())))

    def move(self, step: int, *, stopping: bool) -> None:
        """Let the optimiser take the step that was added up; `stops` is whether any process is ``stopping``.

        Raises:
            TrainingStopped: a term, or the gradient, is not a number.
        """
        asked = torch.full((), float(stopping), device=self._engine.device)
        try:
            read = self.descent.step(rate(self.stage, step), {**self._sums, _STOPPING: asked})
        except NotFinite as error:
            raise self._stopped(step, self._named(error)) from error
        self.stops = read.pop(_STOPPING) > 0
        self.terms, self._sums, self._parts = read, {}, []
        self.mean.update(step)
        if squares := self._shares.taken():
            self.terms |= shares(self._engine.mean(squares))

    def _named(self, error: NotFinite) -> str:
        """What is not finite, and of which clips, where it is their loss. Collective."""
        if not error.names:
            return str(error)
        terms = ", ".join(name for name in error.names if name != "total") or "total"
        bad = [id for total, ids in self._parts if not torch.isfinite(total) for id in ids]
        ids = ", ".join(self._engine.group.all_of(bad))
        return f"{terms} is not a number (clips: {ids or 'pictures'})"

    def _stopped(self, step: int, why: str) -> TrainingStopped:
        return TrainingStopped(
            f"stage {self.stage.name}, step {step}: {why}; lower the rate, or train in fp32; "
            "the last checkpoint is whole"
        )

    def _chance(self, piece: Piece) -> Chance:
        """What is random about samples; torch's own generator is seeded too, the same for all of a step."""
        seed = (self._recipe.seed, 3, self._index)
        torch.manual_seed(word((*seed, piece.step)))
        first = piece.step * self.stage.batch_size
        return Chance.of((*seed, 0), (first + place for place in piece.places))
