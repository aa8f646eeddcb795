"""Watching a run from elsewhere: its losses and previews, in TensorBoard's or Weights & Biases' files."""

import json
import uuid
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from idol_model.checkpoint import Position
from idol_model.run_state import RunFolder

WatcherKind = Literal["tensorboard", "wandb"]


class Watcher(Protocol):
    """Takes what a run says of itself; steps count within their stage."""

    def begin(self, stage: str, step: int) -> None:
        """A stage goes on at ``step``; what was said of later steps is void."""
        ...

    def numbers(self, position: Position, values: Mapping[str, float]) -> None:
        """Losses, rate and errors of a step."""
        ...

    def picture(self, position: Position, path: Path) -> None:
        """A sheet of previews."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class TensorBoard:
    """``RUN/tensorboard/STAGE``: a run of its own for each stage."""

    def __init__(self, run: RunFolder) -> None:
        self._folder = run.path / "tensorboard"
        self._writer: Any = None

    def begin(self, stage: str, step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self.close()
        self._writer = SummaryWriter(str(self._folder / stage), purge_step=step + 1)

    def numbers(self, position: Position, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, position.step)

    def picture(self, position: Position, path: Path) -> None:
        with Image.open(path) as sheet:
            self._writer.add_image("preview", np.asarray(sheet), position.step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WandB:
    """A run of Weights & Biases that is continued as this one is; its id lies in ``RUN/wandb.json``."""

    def __init__(self, run: RunFolder) -> None:
        import wandb  # pyright: ignore[reportMissingImports]

        known = run.path / "wandb.json"
        if not known.exists():
            known.write_text(json.dumps({"id": uuid.uuid4().hex[:12]}), encoding="utf-8")
        name = json.loads(known.read_text(encoding="utf-8"))["id"]
        self._wandb = wandb
        self._run = wandb.init(
            project="idol",
            id=name,
            name=run.path.name,
            dir=str(run.path),
            resume="allow",
            config=run.recipe().to_dict(),
        )

    def begin(self, stage: str, step: int) -> None:
        del step
        self._run.define_metric(f"{stage}/step")
        self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

    def numbers(self, position: Position, values: Mapping[str, float]) -> None:
        named = {f"{position.stage}/{name}": value for name, value in values.items()}
        self._run.log({f"{position.stage}/step": position.step, **named})

    def picture(self, position: Position, path: Path) -> None:
        sheet = self._wandb.Image(str(path))
        self._run.log({f"{position.stage}/step": position.step, f"{position.stage}/preview": sheet})

    def close(self) -> None:
        self._run.finish()


_WATCHERS: dict[WatcherKind, type[TensorBoard] | type[WandB]] = {"tensorboard": TensorBoard, "wandb": WandB}


def check_present(kinds: Sequence[WatcherKind]) -> None:
    """Raises ValueError for a watcher that is unknown or whose package is not installed."""
    for kind in kinds:
        if kind not in _WATCHERS:
            raise ValueError(f"watcher {kind!r}: unknown; choose from {', '.join(_WATCHERS)}, none")
        if find_spec(kind) is None:
            raise ValueError(f"watcher {kind}: its package is not installed; pip install {kind}, or leave it out")


class Watchers:
    """Several watchers as one; of several processes, one tells."""

    def __init__(self, kinds: Sequence[WatcherKind], run: RunFolder) -> None:
        self._all: list[Watcher] = [_WATCHERS[kind](run) for kind in kinds if run.writes]

    def begin(self, stage: str, step: int) -> None:
        for watcher in self._all:
            watcher.begin(stage, step)

    def numbers(self, position: Position, values: Mapping[str, float]) -> None:
        for watcher in self._all:
            watcher.numbers(position, values)

    def picture(self, position: Position, path: Path) -> None:
        for watcher in self._all:
            watcher.picture(position, path)

    def close(self) -> None:
        for watcher in self._all:
            watcher.close()
