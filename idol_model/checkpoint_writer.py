"""Checkpoints written behind the training: the step waits for a copy in memory, not for the disk."""

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from idol_model import checkpoint
from idol_model.checkpoint import Position

Groups = Mapping[str, Mapping[str, Tensor]]


class CheckpointWriter:
    """Writes to one folder, one checkpoint at a time; as a context it ends when the last one is on the disk.

    The copies stay in the host's memory for the next checkpoint (`idol_model.memory_plan` counts them).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: dict[str, dict[str, Tensor]] = {}
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self._join()

    def save(self, position: Position, groups: Groups, extra: Mapping[str, Any]) -> None:
        """Copy the tensors, which may change afterwards, and have them written; the earlier checkpoint is first.

        Raises:
            OSError: the earlier one could not be written.
        """
        self.finish()
        self._copies = {name: _copied(group, self._copies.get(name, {})) for name, group in groups.items()}
        if any(tensor.is_cuda for group in groups.values() for tensor in group.values()):
            torch.cuda.synchronize()
        # Not waited for where the process ends at once: what is half written is removed at the next start.
        self._thread = Thread(target=self._write, args=(position, dict(extra)), daemon=True, name="checkpoint")
        self._thread.start()

    def check(self) -> None:
        """Raises OSError where a checkpoint could not be written; the earlier ones are untouched."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def finish(self) -> None:
        """Wait until the checkpoint is on the disk.

        Raises:
            OSError: as `check`.
        """
        self._join()
        self.check()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _write(self, position: Position, extra: Mapping[str, Any]) -> None:
        try:
            checkpoint.save(self._folder, position, self._copies, extra)
        except BaseException as error:  # raised in the training's own thread
            self._error = error


def _copied(group: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in the host's memory, in the place of earlier copies where they fit."""
    copies: dict[str, Tensor] = {}
    for name, tensor in group.items():
        place = held.get(name)
        if place is None or (place.shape, place.dtype) != (tensor.shape, tensor.dtype):
            place = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
        copies[name] = place.copy_(tensor.detach(), non_blocking=tensor.is_cuda)
    return copies
