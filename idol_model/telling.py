"""What a run says while it trains: to whoever listens, to its log, to its watchers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from idol_model.checkpoint import Position
from idol_model.rates import rate
from idol_model.recipe import Stage
from idol_model.run_state import Progress, Report, RunFolder
from idol_model.watching import WatcherKind, Watchers


@dataclass(frozen=True, slots=True)
class Sheet:
    """A written preview: its picture, the split it is of, and the depth's mean squared error, None without depth."""

    path: Path
    split: str
    depth_mse: float | None


def _unheard(line: str) -> None:
    del line


class Telling:
    """Every step is reported; every ``log_every`` steps, and the last of a stage, go into the log and to watchers."""

    def __init__(
        self,
        run: RunFolder,
        report: Report,
        log_every: int,
        watchers: Sequence[WatcherKind] = (),
        say: Callable[[str], None] = _unheard,
    ) -> None:
        self._run, self._report, self._log_every = run, report, log_every
        self.say = say
        """Called with a line for the user."""
        self._watchers = Watchers(watchers, run)

    def begin(self, stage: str, step: int) -> None:
        """A stage goes on at ``step``."""
        self._watchers.begin(stage, step)

    def logged(self, done: int, stage: Stage) -> bool:
        """Whether the step that makes ``done`` goes into the log."""
        return done % self._log_every == 0 or done == stage.steps

    def step(self, position: Position, stage: Stage, terms: Mapping[str, float], seconds: float, memory: int) -> None:
        """A step is done; ``seconds`` it took, ``memory`` is the most bytes held so far."""
        done, lr = position.step, rate(stage, position.step - 1)
        said = {"terms": terms, "lr": lr, "seconds": seconds, "memory": memory}
        self._report(Progress(stage=stage.name, done=done, total=stage.steps, **said))
        if self.logged(done, stage):
            numbers = {**terms, "lr": lr, "seconds": round(seconds, 4)}
            self._run.log({"stage": stage.name, "stage_index": position.stage_index, "step": done, **numbers})
            self._watchers.numbers(position, numbers)

    def shown(self, position: Position, sheet: Sheet) -> None:
        """A preview is written."""
        where = {"stage": position.stage, "step": position.step, "split": sheet.split}
        self._run.note_preview({**where, "depth_mse": sheet.depth_mse})
        self._watchers.picture(position, sheet.path)
        if sheet.depth_mse is not None:
            self._watchers.numbers(position, {"depth_mse": sheet.depth_mse})

    def close(self) -> None:
        """The run is over."""
        self._watchers.close()
