"""Progress of a training: a bar a stage, with its loss terms beside it."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cli._output import Bar, Output

if TYPE_CHECKING:
    from idol_model.run_state import Progress


class StageBars:
    """One bar a stage, with its loss terms beside it."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._open = ExitStack()
        self._stage = ""
        self._bar: Bar | None = None
        self.last: dict[str, Any] = {}

    def __enter__(self) -> "StageBars":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def show(self, progress: "Progress") -> None:
        """Called by the trainer after every step."""
        if progress.stage != self._stage or self._bar is None:
            self._open.close()
            self._stage = progress.stage
            self._bar = self._open.enter_context(self._out.progress(progress.total, progress.stage))
        self._bar.update(progress.done, note=_note(progress))
        self.last = {"stage": progress.stage, "step": progress.done, "terms": dict(progress.terms)}


def _note(progress: "Progress") -> str:
    # Shares of the gradient are known in logged steps alone and would come and go.
    named = ((name, value) for name, value in progress.terms.items() if not name.startswith("grad_share_"))
    terms = "  ".join(f"{name} {value:.4f}" for name, value in named)
    rate = f"{1 / progress.seconds:.2f} steps/s" if progress.seconds else ""
    memory = f"{progress.memory / 1e9:.1f} GB" if progress.memory else ""
    return "  ".join(part for part in (terms, rate, memory) if part)
