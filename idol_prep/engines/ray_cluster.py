"""Workers as actors of a Ray cluster: the same stages, on whatever machines it has. All must see the same folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from idol_prep.engines import Item, Job
from idol_prep.engines.supervisor import Event, nothing
from idol_prep.prep_options import Tally
from idol_prep.schema import DataError


class RayCrew:
    """N actors. Joins the cluster that ``RAY_ADDRESS`` names, or starts one on this machine for the run."""

    def __init__(self, job: Job, workers: int, prepare_worker: Callable[[], None] = nothing) -> None:
        self.workers = workers
        self._prepare_worker = prepare_worker
        self._ray = ray = _load()
        self._job = job
        self._ours = not ray.is_initialized()
        if self._ours:
            ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
        gpus = 1 if job.device.startswith("cuda") else 0
        self._actor = ray.remote(num_gpus=gpus, max_restarts=0)(_RayWorker)
        self._running: dict[int, Any] = {}
        self._words: dict[int, Iterator[Any]] = {}

    def give(self, worker: int, item: Item) -> None:
        """Hire an actor where there is none, and hand it the item."""
        if worker not in self._running:
            self._running[worker] = self._hire()
        self._words[worker] = self._running[worker].run.options(num_returns="streaming").remote(item)

    def events(self) -> Sequence[Event]:
        """One event of each worker that has something to say."""
        by_words = {words: worker for worker, words in self._words.items()}
        ready, _ = self._ray.wait(list(by_words), num_returns=1)
        return [self._event(by_words[words]) for words in ready]

    def close(self) -> None:
        """Let the actors go, and the cluster where it is ours."""
        for actor in self._running.values():
            self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()

    def _hire(self) -> Any:
        """A new actor. What keeps it from beginning concerns the whole run."""
        actor = self._actor.remote(self._job, self._prepare_worker)
        try:
            self._ray.get(actor.__ray_ready__.remote())
        except self._ray.exceptions.RayActorError as error:
            last = str(error).strip().splitlines()[-1]
            raise DataError(f"a Ray worker cannot begin: {last}") from error
        return actor

    def _event(self, worker: int) -> Event:
        try:
            tally: Tally = self._ray.get(next(self._words[worker]))
        except StopIteration:
            del self._words[worker]
            return Event(worker=worker, done=True)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from error
        except self._ray.exceptions.RayActorError as error:
            del self._words[worker], self._running[worker]
            return Event(worker=worker, died=str(error).splitlines()[0])
        return Event(worker=worker, tally=tally)


class _RayWorker:
    """Lives on some machine of the cluster with one set of networks."""

    def __init__(self, job: Job, prepare_worker: Callable[[], None]) -> None:
        prepare_worker()
        self._worker = job.hire()

    def run(self, item: Item) -> Iterator[Tally]:
        """The whole item; yields what was done, step by step."""
        told: list[Tally] = []
        self._worker.take(item, told.append)
        self._worker.settle(told.append)
        for tally in told:  # noqa: UP028 - Ray sends into what it iterates
            yield tally


def _load() -> Any:
    try:
        import ray
    except ImportError as error:
        raise DataError('the engine ray needs Ray: pip install "idol-video-depth[ray]"') from error
    return ray
