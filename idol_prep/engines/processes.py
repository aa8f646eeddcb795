"""Workers as processes of this machine, started afresh (not forked: networks and threads do not survive that)."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

from idol_prep.engines import Item, Job, Worker
from idol_prep.engines.supervisor import Event, nothing
from idol_prep.prep_options import Tally

_DONE = "done"
_GOODBYE_SECONDS = 10.0


class ProcessCrew:
    """N processes, each at the other end of a pipe. A message is a `Tally`, "done", or an error of the whole run.

    ``prepare_worker`` runs in each as it begins, for example to register annotators of one's own.
    """

    def __init__(self, job: Job, workers: int, prepare_worker: Callable[[], None] = nothing) -> None:
        self.workers = workers
        self._job, self._prepare_worker = job, prepare_worker
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[int, tuple[BaseProcess, Connection]] = {}

    def give(self, worker: int, item: Item) -> None:
        """Start the worker where it does not run, and hand it the item."""
        if worker not in self._running:
            self._running[worker] = self._start()
        with suppress(BrokenPipeError):  # it died while idle; `events` will find out
            self._running[worker][1].send(item)

    def events(self) -> Sequence[Event]:
        """One event of each worker that has something to say."""
        ready = wait([pipe for _, pipe in self._running.values()])
        return [self._event(worker) for worker, (_, pipe) in list(self._running.items()) if pipe in ready]

    def close(self) -> None:
        """Let idle workers go by themselves, and end the others."""
        for _, pipe in self._running.values():
            pipe.close()
        for process, _ in self._running.values():
            process.join(_GOODBYE_SECONDS)
            if process.is_alive():
                process.terminate()
                process.join()

    def _start(self) -> tuple[BaseProcess, Connection]:
        here, there = multiprocessing.Pipe()
        process = self._context.Process(target=_work, args=(self._job, there, self._prepare_worker), daemon=True)
        process.start()
        there.close()
        return process, cast("Connection", here)

    def _event(self, worker: int) -> Event:
        process, pipe = self._running[worker]
        try:
            message = pipe.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            pipe.close()
            del self._running[worker]
            return Event(worker=worker, died=f"exit code {process.exitcode}")
        if isinstance(message, BaseException):
            raise message
        return Event(worker=worker, done=True) if message == _DONE else Event(worker=worker, tally=message)


def _work(job: Job, pipe: Connection, prepare_worker: Callable[[], None]) -> None:
    """A worker's life: items until the pipe is closed."""
    worker: Worker | None = None
    try:
        prepare_worker()
        worker = job.hire()
        while True:
            worker.take(pipe.recv(), lambda tally: _say(pipe, tally))
            worker.settle(lambda tally: _say(pipe, tally))
            _say(pipe, _DONE)
    except (EOFError, KeyboardInterrupt):
        pass
    except BaseException as error:
        _say(pipe, error)
    finally:
        if worker is not None:
            worker.close()


def _say(pipe: Connection, message: Tally | str | BaseException) -> None:
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionResetError):
        raise EOFError("nobody listens any more") from None
